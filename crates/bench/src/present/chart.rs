//! Draws a chart as SVG and PNG.

use std::sync::Arc;

use anyhow::{Context, Result};
use kuva::backend::svg::SvgBackend;
use kuva::plot::legend::{LegendEntry, LegendPosition, LegendShape};
use kuva::plot::{BandPlot, BarPlot, LabelStyle, LinePlot, LineStyle, ScatterPlot};
use kuva::render::layout::{Layout, TickFormat};
use kuva::render::plots::Plot;
use kuva::render::render::render_multiple;
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};

use super::axis::Axis;
use super::comparison::spread_at;
use super::heat_map::heat_map;
use super::spread::Spread;
use super::style::{Style, Theme, styles};
use super::table::{scale_at, x_values};
use crate::numbers::format_number;
use crate::report::{Chart, Kind, Point, Series, Target, Unit};

/// In pixels: about the width of a column of text.
const WIDTH: f64 = 840.0;

/// Pixels of the PNG per pixel of the SVG.
const PNG_SCALE: f32 = 2.0;

/// Draws a heat map if the series are rows of one, bars if all points have the same x, and lines
/// otherwise. Text stays text in the SVG.
pub fn svg(chart: &Chart, theme: &'static Theme) -> String {
    let (plots, layout) = match x_values(chart)[..] {
        _ if is_heat_map(chart) => heat_map(chart, theme),
        [x] => bars(chart, theme, x),
        _ => lines(chart, theme),
    };
    let layout = layout
        .with_width(WIDTH)
        .with_title(&chart.title)
        .with_subtitle(subtitle(chart))
        .with_theme(theme.for_kuva())
        .with_title_size(17)
        .with_subtitle_size(13)
        .with_label_size(13)
        .with_tick_size(12)
        .with_body_size(12);
    SvgBackend::new().render_scene(&render_multiple(plots, layout))
}

/// Renders an SVG with the bundled font, whatever fonts are installed.
pub fn png(svg: &str) -> Result<Vec<u8>> {
    let mut options = Options::default();
    options.fontdb_mut().load_font_data(dejavu::sans::regular().to_vec());
    let drawing = Tree::from_str(svg, &options)?;
    let size = drawing.size().to_int_size().scale_by(PNG_SCALE).context("no size")?;
    let mut pixels = Pixmap::new(size.width(), size.height()).context("no size")?;
    resvg::render(&drawing, Transform::from_scale(PNG_SCALE, PNG_SCALE), &mut pixels.as_mut());
    Ok(pixels.encode_png()?)
}

/// Such as "time per wait, lower is better"; "time per wait" if pollset is not compared.
pub fn subtitle(chart: &Chart) -> String {
    let y = &chart.y;
    if let (true, Some(Target { ratio, difference })) = (is_heat_map(chart), chart.target) {
        let difference = chart.unit.scale_for(difference).format_with_symbol(difference);
        return format!(
            "time per {y}, divided by that of the better engine; \
             framed: more than {ratio:.2} and {difference}"
        );
    }
    let (measured, better) = match chart.unit {
        Unit::Nanoseconds => (format!("time per {y}"), "lower"),
        Unit::Bytes => (format!("memory per {y}"), "lower"),
        Unit::PerSecond => (format!("{y} per second"), "higher"),
    };
    match chart.others().next() {
        Some(_) => format!("{measured}, {better} is better"),
        None => measured,
    }
}

fn is_heat_map(chart: &Chart) -> bool {
    chart.series.iter().any(|series| series.row.is_some())
}

fn lines(chart: &Chart, theme: &Theme) -> (Vec<Plot>, Layout) {
    let points: Vec<Vec<(f64, Spread)>> = chart.series.iter().map(points).collect();
    let all = points.iter().flatten();
    let x_axis = Axis::for_values(all.clone().map(|(x, _)| *x));
    let y_axis = Axis::for_values(all.map(|(_, spread)| spread.median));

    let styles = styles(&chart.series);
    let mut layers = Vec::new();
    for ((series, style), points) in chart.series.iter().zip(&styles).zip(&points) {
        layers.push((series.kind, curve(points, style, theme, &x_axis, &y_axis)));
    }
    layers.sort_by_key(|(kind, _)| z_order(*kind));
    let plots: Vec<Plot> = layers.into_iter().flat_map(|(_, plots)| plots).collect();

    let entries = chart.series.iter().zip(&styles).map(|(series, style)| LegendEntry {
        label: series.subject.clone(),
        color: theme.color(style).into(),
        shape: style.marker.map_or(LegendShape::Line, LegendShape::Marker),
        dasharray: style.dashes.map(Into::into),
    });
    let unit = chart.unit;
    let layout = Layout::auto_from_plots(&plots)
        .with_height(460.0)
        .with_x_label(&chart.x)
        .with_legend_entries(entries.collect())
        .with_legend_position(LegendPosition::OutsideRightTop)
        .with_legend_box(false);
    let layout = with_x_axis(layout, x_axis, format_number);
    (plots, with_y_axis(layout, y_axis, move |value| unit.format_tick(value)))
}

fn points(series: &Series) -> Vec<(f64, Spread)> {
    let spread = |point: &Point| Some((point.x, Spread::of(&point.samples)?));
    let mut points: Vec<_> = series.points.iter().filter_map(spread).collect();
    points.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    points
}

/// pollset is drawn over the others, and these over pollset with a setting forced.
fn z_order(kind: Kind) -> usize {
    match kind {
        Kind::OursForced => 0,
        Kind::Bare | Kind::Peer | Kind::Reference => 1,
        Kind::Ours => 2,
    }
}

/// A line through the medians, with a band between the quartiles.
fn curve(
    points: &[(f64, Spread)],
    style: &Style,
    theme: &Theme,
    x_axis: &Axis,
    y_axis: &Axis,
) -> Vec<Plot> {
    let color = theme.color(style);
    let xs = || points.iter().map(|(x, _)| x_axis.position(*x));
    let ys = |value: fn(&Spread) -> f64| {
        points.iter().map(move |(_, spread)| y_axis.position(value(spread)))
    };
    let medians: Vec<(f64, f64)> = xs().zip(ys(|spread| spread.median)).collect();

    let mut line =
        LinePlot::new().with_data(medians.clone()).with_color(color).with_stroke_width(style.width);
    if let Some(dashes) = style.dashes {
        line = line.with_line_style(LineStyle::Custom(dashes.into()));
    }
    line.band = style.has_band.then(|| {
        let lower = ys(|spread| spread.lower_quartile);
        let upper = ys(|spread| spread.upper_quartile);
        BandPlot::new(xs(), lower, upper).with_color(color).with_opacity(0.12)
    });
    let mut plots = vec![Plot::Line(line)];
    if let Some(marker) = style.marker {
        let markers = ScatterPlot::new().with_data(medians).with_color(color).with_marker(marker);
        plots.push(Plot::Scatter(markers.with_size(style.width + 2.0)));
    }
    plots
}

fn with_x_axis(
    layout: Layout,
    axis: Axis,
    format: impl Fn(f64) -> String + Send + Sync + 'static,
) -> Layout {
    let layout = match axis {
        Axis::Linear { end } => layout.with_x_axis_min(-0.02 * end).with_x_axis_max(1.02 * end),
        Axis::Logarithmic { start, end } => {
            layout.with_log_x().with_x_axis_min(start).with_x_axis_max(end)
        }
        Axis::LogarithmicWithZero { zero, end } => {
            layout.with_x_axis_min(zero - 0.1).with_x_axis_max(end + 0.1).with_x_tick_step(1.0)
        }
    };
    layout.with_x_tick_format(TickFormat::Custom(Arc::new(move |tick| format(axis.value(tick)))))
}

fn with_y_axis(
    layout: Layout,
    axis: Axis,
    format: impl Fn(f64) -> String + Send + Sync + 'static,
) -> Layout {
    let layout = match axis {
        Axis::Linear { end } => layout.with_y_axis_min(0.0).with_y_axis_max(1.1 * end),
        Axis::Logarithmic { start, end } => {
            layout.with_log_y().with_y_axis_min(start).with_y_axis_max(end)
        }
        Axis::LogarithmicWithZero { zero, end } => {
            layout.with_y_axis_min(zero).with_y_axis_max(end + 0.1).with_y_tick_step(1.0)
        }
    };
    layout.with_y_tick_format(TickFormat::Custom(Arc::new(move |tick| format(axis.value(tick)))))
}

fn bars(chart: &Chart, theme: &Theme, x: f64) -> (Vec<Plot>, Layout) {
    let scale = scale_at(chart, None, x);
    let unit = chart.unit;
    let mut bars = BarPlot::new().with_horizontal(true).with_width(0.6);
    let mut ends = Vec::new();
    let mut values = Vec::new();
    for (series, style) in chart.series.iter().zip(styles(&chart.series)).rev() {
        let Some(spread) = spread_at(series, x) else { continue };
        bars = bars.with_colored_bar(&series.subject, spread.median, theme.color(&style));
        values.push(format!("{} {}", scale.format_spread(&spread), scale.symbol));
        ends.push((spread.median, values.len() as f64));
    }
    let largest = ends.iter().map(|(median, _)| *median).fold(0.0, f64::max);
    let height = 125.0 + 26.0 * values.len() as f64;
    let values = ScatterPlot::new()
        .with_data(ends)
        .with_labels(values)
        .with_label_style(LabelStyle::Arrow { offset_x: 6.0, offset_y: -4.0 })
        .with_size(5.0)
        .with_marker_opacity(0.0);
    let plots = vec![Plot::Bar(bars), Plot::Scatter(values)];
    let layout = Layout::auto_from_plots(&plots)
        .with_height(height)
        .with_show_grid(false)
        .with_x_axis_min(0.0)
        .with_x_axis_max(1.2 * largest)
        .with_x_label(format!("{}: {}", chart.x, format_number(x)))
        .with_x_tick_format(TickFormat::Custom(Arc::new(move |tick| unit.format_tick(tick))));
    (plots, layout)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::present::style::{DARK, LIGHT};
    use crate::report::Row;

    #[test]
    fn text_stays_text_and_is_escaped() {
        let svg = svg(&chart(&[("a <b> & c", &[1.0, 10.0])]), &LIGHT);
        assert!(svg.contains("a &lt;b&gt; &amp; c</text>"));
    }

    #[test]
    fn each_theme_has_its_own_background() {
        let chart = chart(&[("poll(2)", &[1.0, 1_000.0]), ("pollset", &[0.0, 10.0])]);
        let [light, dark] = [&LIGHT, &DARK].map(|theme| svg(&chart, theme));
        assert!(light.contains(LIGHT.background) && dark.contains(DARK.background));
    }

    #[test]
    fn a_png_has_twice_the_size_of_its_svg() {
        let png = png(&svg(&chart(&[("pollset", &[1.0, 2.0])]), &LIGHT)).unwrap();
        assert_eq!(png[16..20], (2 * WIDTH as u32).to_be_bytes());
    }

    #[test]
    fn a_chart_with_a_single_x_has_bars_with_values() {
        let svg = svg(&chart(&[("poll(2)", &[7.0]), ("pollset", &[7.0])]), &LIGHT);
        assert_eq!(svg.matches(">700 ns</text>").count(), 2);
    }

    #[test]
    fn a_series_without_points_or_with_x_zero_can_be_drawn() {
        for series in [
            &[("select(2)", &[][..]), ("pollset", &[1.0, 2.0])][..],
            &[("pollset", &[])],
            &[("pollset", &[0.0])],
        ] {
            let svg = svg(&chart(series), &LIGHT);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }

    #[test]
    fn the_subtitle_names_the_better_direction_if_there_is_a_comparison() {
        let mut chart = chart(&[("select.poll", &[1.0])]);
        (chart.y, chart.unit) = ("calls".into(), Unit::PerSecond);
        assert_eq!(subtitle(&chart), "calls per second, higher is better");
        chart.series[0].kind = Kind::Reference;
        assert_eq!(subtitle(&chart), "calls per second");
    }

    #[test]
    fn a_heat_map_frames_cells_over_the_target() {
        let mut chart = Chart::new("", "", "descriptors", "wait", Unit::Nanoseconds)
            .with_target(Target { ratio: 1.1, difference: 40.0 });
        for (name, x, time) in [("one ready", 8, 1_090.0), ("all ready", 64, 1_250.0)] {
            let row = Row { group: "sockets".into(), name: name.into() };
            chart.add_to_row(Some(&row), "pollset", Kind::Ours, x, vec![time]);
            chart.add_to_row(Some(&row), "poll forced", Kind::OursForced, x, vec![1_000.0]);
        }
        assert_eq!(
            subtitle(&chart),
            "time per wait, divided by that of the better engine; framed: more than 1.10 and 40 ns"
        );
        for theme in [&LIGHT, &DARK] {
            let svg = svg(&chart, theme);
            for text in ["sockets", "one ready", "all ready", "1.09", "1.25"] {
                assert_eq!(svg.matches(&format!(">{text}</text>")).count(), 1, "{text}: {svg}");
            }
            let frame = format!("stroke=\"{}\"", theme.text);
            assert_eq!(svg.matches(&frame).count(), 1, "{svg}");
            assert!(!svg.contains("NaN"), "{svg}");
        }
    }

    /// A chart of series whose sample is 100 ns times x.
    fn chart(series: &[(&str, &[f64])]) -> Chart {
        let series = series.iter().map(|&(subject, xs)| Series {
            subject: subject.into(),
            kind: Kind::Peer,
            row: None,
            points: xs.iter().map(|&x| Point { x, samples: vec![100.0 * x] }).collect(),
        });
        let mut chart = Chart::new("name", "Title", "descriptors", "wait", Unit::Nanoseconds);
        chart.series = series.collect();
        chart
    }
}
