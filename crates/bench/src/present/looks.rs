//! Colours and marks: the same contestant looks the same in every chart.

use kuva::plot::scatter::MarkerShape;
use kuva::render::theme::Theme;

use crate::report::{Kind, Series};

/// What a reader's system writes in. A PNG has the one that it brings: `DejaVu Sans`.
const FONTS: &str =
    "system-ui, -apple-system, Segoe UI, Noto Sans, Helvetica, Arial, DejaVu Sans, sans-serif";

/// Light or dark.
pub struct Ground {
    suffix: &'static str,
    pub background: &'static str,
    pub text: &'static str,
    pub faint: &'static str,
    grid: &'static str,
    shade: fn(&Hue) -> &'static str,
}

pub const LIGHT: Ground = Ground {
    suffix: "",
    background: "#ffffff",
    text: "#1f2328",
    faint: "#8c959f",
    grid: "#e6e9ed",
    shade: |hue| hue.on_light,
};

pub const DARK: Ground = Ground {
    suffix: "-dark",
    background: "#0d1117",
    text: "#e6edf3",
    faint: "#6e7681",
    grid: "#242a33",
    shade: |hue| hue.on_dark,
};

impl Ground {
    /// The name of a chart's file, without the extension.
    pub fn stem(&self, name: &str) -> String {
        format!("{name}{}", self.suffix)
    }

    pub fn shade(&self, look: &Look) -> &'static str {
        (self.shade)(&look.hue)
    }

    pub fn theme(&self) -> Theme {
        Theme {
            background: self.background.into(),
            axis_color: self.faint.into(),
            grid_color: self.grid.into(),
            tick_color: self.faint.into(),
            text_color: self.text.into(),
            legend_bg: self.background.into(),
            legend_border: "none".into(),
            font_family: Some(FONTS.into()),
            ..Theme::light()
        }
    }
}

/// A hue in two shades, each with a contrast of 3:1 or more to its background.
#[derive(Clone, Copy)]
struct Hue {
    on_light: &'static str,
    on_dark: &'static str,
}

/// Okabe and Ito's vermillion, which none of the others comes close to.
const VERMILLION: Hue = Hue { on_light: "#d55e00", on_dark: "#ff7f2a" };
/// The same, weaker.
const PEACH: Hue = Hue { on_light: "#e8965a", on_dark: "#b3683a" };
const ORANGE: Hue = Hue { on_light: "#b57a00", on_dark: "#e69f00" };
const BLACK: Hue = Hue { on_light: "#24292f", on_dark: "#e6edf3" };
const GREY: Hue = Hue { on_light: "#6e7781", on_dark: "#a0a8b2" };
const PALE: Hue = Hue { on_light: "#8f979f", on_dark: "#767f8a" };
const BLUE: Hue = Hue { on_light: "#0072b2", on_dark: "#3d9be0" };
const SKY: Hue = Hue { on_light: "#3a97cf", on_dark: "#8ad0ff" };
const GREEN: Hue = Hue { on_light: "#00835f", on_dark: "#14b88a" };
const PURPLE: Hue = Hue { on_light: "#aa4499", on_dark: "#dd8fd0" };
const OLIVE: Hue = Hue { on_light: "#857a1c", on_dark: "#d6c95f" };
const INDIGO: Hue = Hue { on_light: "#332288", on_dark: "#9a8cf0" };

#[derive(Clone, Copy)]
pub struct Look {
    hue: Hue,
    pub width: f64,
    /// As in SVG's `stroke-dasharray`.
    pub dashes: Option<&'static str>,
    pub marker: Option<MarkerShape>,
}

/// Bare calls are grey. What no chart shows together may look alike.
const KNOWN: [(&str, Hue, MarkerShape); 19] = [
    ("poll(2)", GREY, MarkerShape::Square),
    ("epoll(7)", BLACK, MarkerShape::Diamond),
    ("select(2)", PALE, MarkerShape::Triangle),
    ("rustix", PURPLE, MarkerShape::TriangleDown),
    ("popol", OLIVE, MarkerShape::Star),
    ("polling", BLUE, MarkerShape::Hexagon),
    ("polling, oneshot", SKY, MarkerShape::Cross),
    ("mio", GREEN, MarkerShape::Plus),
    ("select.poll", GREY, MarkerShape::Square),
    ("select.epoll", BLACK, MarkerShape::Diamond),
    ("select.select", PALE, MarkerShape::Triangle),
    ("selectors", PURPLE, MarkerShape::TriangleDown),
    ("gevent", OLIVE, MarkerShape::Star),
    ("asyncio", BLUE, MarkerShape::Hexagon),
    ("asyncio on poll", SKY, MarkerShape::Cross),
    ("uvloop", GREEN, MarkerShape::Plus),
    ("pollset", VERMILLION, MarkerShape::Circle),
    ("asyncio on pollset", ORANGE, MarkerShape::Pentagon),
    ("pollset, audit at leisure", ORANGE, MarkerShape::Pentagon),
];

/// For names that aren't known, by turns.
const OTHERS: [(Hue, MarkerShape); 4] = [
    (INDIGO, MarkerShape::Diamond),
    (OLIVE, MarkerShape::Cross),
    (PURPLE, MarkerShape::Plus),
    (GREEN, MarkerShape::Square),
];

/// Of each of the series, in their order.
pub fn looks(series: &[Series]) -> Vec<Look> {
    let mut others = OTHERS.iter().cycle();
    let mut dashes = ["7 4", "2 3"].iter().cycle();
    let mut look = |series: &Series| {
        if series.kind == Kind::OursForced {
            return Look { hue: PEACH, width: 1.5, dashes: dashes.next().copied(), marker: None };
        }
        let known = KNOWN.iter().find(|(name, ..)| *name == series.contestant);
        let (hue, marker) = match known {
            Some(&(_, hue, marker)) => (hue, marker),
            None => *others.next().expect("it goes round"),
        };
        let width = if series.kind == Kind::Ours { 3.0 } else { 1.5 };
        Look { hue, width, dashes: None, marker: Some(marker) }
    };
    series.iter().map(&mut look).collect()
}
