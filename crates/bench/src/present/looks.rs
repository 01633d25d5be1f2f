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

/// Two shades, each with a contrast of 3:1 or more to its background.
#[derive(Clone, Copy)]
struct Hue {
    on_light: &'static str,
    on_dark: &'static str,
}

// Ours alone is warm. The others are cold or grey, and are so for readers who can't tell red from
// green, too.
const VERMILLION: Hue = Hue { on_light: "#d55e00", on_dark: "#ff7f2a" };
const PEACH: Hue = Hue { on_light: "#d67c3c", on_dark: "#b3683a" };
const AMBER: Hue = Hue { on_light: "#8c2d04", on_dark: "#ffc670" };
const BLACK: Hue = Hue { on_light: "#24292f", on_dark: "#e6edf3" };
const GREY: Hue = Hue { on_light: "#6e7781", on_dark: "#a0a8b2" };
const PALE: Hue = Hue { on_light: "#8b939b", on_dark: "#767f8a" };
const BLUE: Hue = Hue { on_light: "#0072b2", on_dark: "#3d9be0" };
const SKY: Hue = Hue { on_light: "#3a97cf", on_dark: "#8ad0ff" };
const GREEN: Hue = Hue { on_light: "#00835f", on_dark: "#14b88a" };
const PURPLE: Hue = Hue { on_light: "#aa4499", on_dark: "#dd8fd0" };
const INDIGO: Hue = Hue { on_light: "#332288", on_dark: "#a99bff" };
const WINE: Hue = Hue { on_light: "#882255", on_dark: "#f29ab8" };

#[derive(Clone, Copy)]
pub struct Look {
    hue: Hue,
    pub width: f64,
    /// As in SVG's `stroke-dasharray`.
    pub dashes: Option<&'static str>,
    pub marker: Option<MarkerShape>,
    /// Between the quartiles.
    pub has_band: bool,
}

/// Bare calls are grey. What no chart shows together may look alike.
const KNOWN: [(&str, Hue, MarkerShape); 24] = [
    ("poll(2)", GREY, MarkerShape::Square),
    ("epoll(7)", BLACK, MarkerShape::Diamond),
    ("epoll(7), left to close", PALE, MarkerShape::Star),
    ("select(2)", PALE, MarkerShape::Triangle),
    ("rustix", PURPLE, MarkerShape::TriangleDown),
    ("popol", INDIGO, MarkerShape::Star),
    ("polling", BLUE, MarkerShape::Hexagon),
    ("polling, oneshot", SKY, MarkerShape::Cross),
    ("mio", GREEN, MarkerShape::Plus),
    ("select.poll", GREY, MarkerShape::Square),
    ("select.epoll", BLACK, MarkerShape::Diamond),
    ("select.select", PALE, MarkerShape::Triangle),
    ("selectors", PURPLE, MarkerShape::TriangleDown),
    ("selectors.PollSelector", SKY, MarkerShape::Cross),
    ("selectors.EpollSelector", PURPLE, MarkerShape::TriangleDown),
    ("time.sleep", GREEN, MarkerShape::Plus),
    ("gevent", INDIGO, MarkerShape::Star),
    ("asyncio", BLUE, MarkerShape::Hexagon),
    ("asyncio on poll", SKY, MarkerShape::Cross),
    ("uvloop", GREEN, MarkerShape::Plus),
    ("pollset", VERMILLION, MarkerShape::Circle),
    ("pollset.PollSelector", AMBER, MarkerShape::Pentagon),
    ("asyncio on pollset", AMBER, MarkerShape::Pentagon),
    ("pollset, audit at leisure", AMBER, MarkerShape::Pentagon),
];

/// For names that aren't known, by turns.
const OTHERS: [(Hue, MarkerShape); 4] = [
    (WINE, MarkerShape::Cross),
    (GREEN, MarkerShape::Square),
    (PURPLE, MarkerShape::Plus),
    (BLUE, MarkerShape::Diamond),
];

/// Of each of the series, in their order.
pub fn looks(series: &[Series]) -> Vec<Look> {
    let mut others = OTHERS.iter().cycle();
    let mut dashes = ["7 4", "2 3"].iter().cycle();
    let mut look = |series: &Series| {
        if series.kind == Kind::OursForced {
            return Look {
                hue: PEACH,
                width: 1.5,
                dashes: dashes.next().copied(),
                marker: None,
                has_band: false,
            };
        }
        let known = KNOWN.iter().find(|(name, ..)| *name == series.contestant);
        let (hue, marker) = match known {
            Some(&(_, hue, marker)) => (hue, marker),
            None => *others.next().expect("it goes round"),
        };
        let width = if series.kind == Kind::Ours { 3.0 } else { 1.5 };
        Look { hue, width, dashes: None, marker: Some(marker), has_band: true }
    };
    series.iter().map(&mut look).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shade_stands_out_from_its_background() {
        let known = KNOWN.iter().map(|(_, hue, _)| hue);
        for hue in known.chain(OTHERS.iter().map(|(hue, _)| hue)).chain([&PEACH]) {
            for (ground, shade) in [(LIGHT, hue.on_light), (DARK, hue.on_dark)] {
                let contrast = contrast(ground.background, shade);
                assert!(contrast >= 3.0, "{shade}: {contrast}");
            }
        }
    }

    #[test]
    fn no_two_of_a_chart_look_alike() {
        let rust = [
            "poll(2)",
            "epoll(7)",
            "epoll(7), left to close",
            "select(2)",
            "rustix",
            "popol",
            "polling",
            "polling, oneshot",
            "mio",
            "one more",
            "another",
            "pollset",
            "pollset, audit at leisure",
        ];
        let python = [
            "select.select",
            "select.poll",
            "select.epoll",
            "selectors",
            "asyncio",
            "asyncio on poll",
            "asyncio on pollset",
            "gevent",
            "uvloop",
            "one more",
            "pollset",
        ];
        let selectors = [
            "selectors",
            "selectors.PollSelector",
            "time.sleep",
            "pollset",
            "pollset.PollSelector",
            "one more",
        ];
        for names in [&rust[..], &python, &selectors] {
            let series: Vec<Series> = names.iter().map(|name| series(name, Kind::Peer)).collect();
            let mut seen: Vec<_> = looks(&series)
                .iter()
                .map(|look| (look.hue.on_light, look.marker.unwrap()))
                .collect();
            while let Some(look) = seen.pop() {
                assert!(!seen.contains(&look), "{look:?}");
            }
        }
    }

    #[test]
    fn ours_with_either_engine_forced_is_dashed_in_its_own_way() {
        let forced = ["pollset, poll forced", "pollset, epoll forced"];
        let looks = looks(&forced.map(|name| series(name, Kind::OursForced)));
        assert!(looks[0].dashes.is_some() && looks[1].dashes.is_some());
        assert_ne!(looks[0].dashes, looks[1].dashes);
    }

    fn series(name: &str, kind: Kind) -> Series {
        Series { contestant: name.into(), kind, points: Vec::new() }
    }

    /// As the Web Content Accessibility Guidelines define it.
    fn contrast(one: &str, other: &str) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    fn luminance(color: &str) -> f64 {
        let linear = |at| {
            let part = f64::from(u8::from_str_radix(&color[at..at + 2], 16).unwrap()) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(1) + 0.7152 * linear(3) + 0.0722 * linear(5)
    }
}
