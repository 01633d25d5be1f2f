//! Colours and markers: a subject has the same ones in all charts.

use kuva::plot::scatter::MarkerShape;
use kuva::render::theme::Theme as KuvaTheme;

use crate::report::{Kind, Series};

/// The reader's system font. PNGs use the bundled one, `DejaVu Sans`.
const FONTS: &str =
    "system-ui, -apple-system, Segoe UI, Noto Sans, Helvetica, Arial, DejaVu Sans, sans-serif";

/// The colours of a chart for light or dark pages.
pub struct Theme {
    suffix: &'static str,
    pub background: &'static str,
    pub text: &'static str,
    pub faint: &'static str,
    grid: &'static str,
    select: fn(&Color) -> &'static str,
}

pub const LIGHT: Theme = Theme {
    suffix: "",
    background: "#ffffff",
    text: "#1f2328",
    faint: "#8c959f",
    grid: "#e6e9ed",
    select: |color| color.on_light,
};

pub const DARK: Theme = Theme {
    suffix: "-dark",
    background: "#0d1117",
    text: "#e6edf3",
    faint: "#6e7681",
    grid: "#242a33",
    select: |color| color.on_dark,
};

impl Theme {
    /// The file name of a chart, without the extension.
    pub fn file_stem(&self, name: &str) -> String {
        format!("{name}{}", self.suffix)
    }

    pub fn color(&self, style: &Style) -> &'static str {
        (self.select)(&style.color)
    }

    /// The background of a cell of a heat map, from 0, the background of the chart, to 1.
    pub fn heat(&self, heat: f64) -> String {
        // The text stays readable on the hottest cell.
        const MAX_SHARE: f64 = 0.6;
        let share = MAX_SHARE * heat.clamp(0.0, 1.0);
        let hot = (self.select)(&VERMILLION);
        let mixed = [1, 3, 5].map(|at| {
            let [cold, hot] = [self.background, hot].map(|color| channel(color, at));
            (cold + share * (hot - cold)).round() as u8
        });
        format!("#{:02x}{:02x}{:02x}", mixed[0], mixed[1], mixed[2])
    }

    pub fn for_kuva(&self) -> KuvaTheme {
        KuvaTheme {
            background: self.background.into(),
            axis_color: self.faint.into(),
            grid_color: self.grid.into(),
            tick_color: self.faint.into(),
            text_color: self.text.into(),
            legend_bg: self.background.into(),
            legend_border: "none".into(),
            font_family: Some(FONTS.into()),
            ..KuvaTheme::light()
        }
    }
}

/// Red, green or blue, two digits of `#rrggbb`.
fn channel(color: &str, at: usize) -> f64 {
    f64::from(u8::from_str_radix(&color[at..at + 2], 16).expect("a hexadecimal number"))
}

/// A colour in two shades, each with a contrast of at least 3:1 to its background.
#[derive(Clone, Copy)]
struct Color {
    on_light: &'static str,
    on_dark: &'static str,
}

// Only pollset has warm colours. The others are cold or grey, also for readers who can't tell red
// from green.
const VERMILLION: Color = Color { on_light: "#d55e00", on_dark: "#ff7f2a" };
const PEACH: Color = Color { on_light: "#d67c3c", on_dark: "#b3683a" };
const AMBER: Color = Color { on_light: "#8c2d04", on_dark: "#ffc670" };
const BLACK: Color = Color { on_light: "#24292f", on_dark: "#e6edf3" };
const GREY: Color = Color { on_light: "#6e7781", on_dark: "#a0a8b2" };
const PALE: Color = Color { on_light: "#8b939b", on_dark: "#767f8a" };
const BLUE: Color = Color { on_light: "#0072b2", on_dark: "#3d9be0" };
const SKY: Color = Color { on_light: "#3a97cf", on_dark: "#8ad0ff" };
const GREEN: Color = Color { on_light: "#00835f", on_dark: "#14b88a" };
const PURPLE: Color = Color { on_light: "#aa4499", on_dark: "#dd8fd0" };
const INDIGO: Color = Color { on_light: "#332288", on_dark: "#a99bff" };
const WINE: Color = Color { on_light: "#882255", on_dark: "#f29ab8" };

#[derive(Clone, Copy)]
pub struct Style {
    color: Color,
    pub width: f64,
    /// SVG's `stroke-dasharray`.
    pub dashes: Option<&'static str>,
    pub marker: Option<MarkerShape>,
    /// Whether the range between the quartiles is shaded.
    pub has_band: bool,
}

/// Bare calls are grey. Subjects that no chart shows together may share a style.
const KNOWN: [(&str, Color, MarkerShape); 31] = [
    ("poll(2)", GREY, MarkerShape::Square),
    ("epoll(7)", BLACK, MarkerShape::Diamond),
    ("epoll(7), no DEL", PALE, MarkerShape::Star),
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
    ("pollset, slow audit", AMBER, MarkerShape::Pentagon),
    ("pollset::poll", AMBER, MarkerShape::Pentagon),
    ("ppoll(2)", BLACK, MarkerShape::Diamond),
    ("poll(2) and Vec", GREY, MarkerShape::Square),
    ("epoll(7) and Vec", BLACK, MarkerShape::Diamond),
    ("epoll(7) and HashMap", PALE, MarkerShape::Star),
    ("PollMap", VERMILLION, MarkerShape::Circle),
    ("PollSet and HashMap", AMBER, MarkerShape::Pentagon),
];

/// The styles of other names, in rotation.
const OTHERS: [(Color, MarkerShape); 4] = [
    (WINE, MarkerShape::Cross),
    (GREEN, MarkerShape::Square),
    (PURPLE, MarkerShape::Plus),
    (BLUE, MarkerShape::Diamond),
];

/// The styles of the series, in the same order.
pub fn styles(series: &[Series]) -> Vec<Style> {
    let mut others = OTHERS.iter().cycle();
    let mut dashes = ["7 4", "2 3", "10 3 2 3"].iter().cycle();
    let mut style = |series: &Series| {
        if series.kind == Kind::OursForced {
            return Style {
                color: PEACH,
                width: 1.5,
                dashes: dashes.next().copied(),
                marker: None,
                has_band: false,
            };
        }
        let known = KNOWN.iter().find(|(name, ..)| *name == series.subject);
        let (color, marker) = match known {
            Some(&(_, color, marker)) => (color, marker),
            None => *others.next().expect("a cycle has no end"),
        };
        let width = if series.kind == Kind::Ours { 3.0 } else { 1.5 };
        Style { color, width, dashes: None, marker: Some(marker), has_band: true }
    };
    series.iter().map(&mut style).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shade_has_enough_contrast_to_its_background() {
        let known = KNOWN.iter().map(|(_, color, _)| color);
        for color in known.chain(OTHERS.iter().map(|(color, _)| color)).chain([&PEACH]) {
            for (theme, shade) in [(LIGHT, color.on_light), (DARK, color.on_dark)] {
                let contrast = contrast(theme.background, shade);
                assert!(contrast >= 3.0, "{shade}: {contrast}");
            }
        }
    }

    #[test]
    fn text_is_readable_on_each_cell_of_a_heat_map() {
        for theme in [LIGHT, DARK] {
            assert_eq!(theme.heat(0.0), theme.background);
            for heat in [0.5, 1.0, 7.0] {
                let contrast = contrast(theme.text, &theme.heat(heat));
                assert!(contrast >= 4.5, "{}: {contrast}", theme.heat(heat));
            }
        }
    }

    #[test]
    fn no_two_subjects_of_a_chart_share_a_style() {
        let rust = [
            "poll(2)",
            "epoll(7)",
            "epoll(7), no DEL",
            "select(2)",
            "rustix",
            "popol",
            "polling",
            "polling, oneshot",
            "mio",
            "unknown",
            "unknown, too",
            "pollset",
            "pollset, slow audit",
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
            "unknown",
            "pollset",
        ];
        let selectors = [
            "selectors",
            "selectors.PollSelector",
            "time.sleep",
            "pollset",
            "pollset.PollSelector",
            "unknown",
        ];
        let values = [
            "poll(2) and Vec",
            "epoll(7) and HashMap",
            "epoll(7) and Vec",
            "PollSet alone",
            "PollSet and HashMap",
            "PollMap",
        ];
        for names in [&rust[..], &python, &selectors, &values] {
            let series: Vec<Series> = names.iter().map(|name| series(name, Kind::Peer)).collect();
            let mut seen: Vec<_> = styles(&series)
                .iter()
                .map(|style| (style.color.on_light, style.marker.unwrap()))
                .collect();
            while let Some(style) = seen.pop() {
                assert!(!seen.contains(&style), "{style:?}");
            }
        }
    }

    #[test]
    fn each_forced_engine_has_its_own_dashes() {
        let forced = ["pollset, poll forced", "pollset, epoll forced", "better engine by phase"];
        let styles = styles(&forced.map(|name| series(name, Kind::OursForced)));
        let mut dashes: Vec<_> = styles.iter().map(|style| style.dashes.unwrap()).collect();
        dashes.sort();
        dashes.dedup();
        assert_eq!(dashes.len(), forced.len());
    }

    fn series(name: &str, kind: Kind) -> Series {
        Series { subject: name.into(), kind, row: None, points: Vec::new() }
    }

    /// The contrast ratio of the Web Content Accessibility Guidelines.
    fn contrast(one: &str, other: &str) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    fn luminance(color: &str) -> f64 {
        let linear = |at| {
            let part = channel(color, at) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(1) + 0.7152 * linear(3) + 0.0722 * linear(5)
    }
}
