//! A chart as a picture.

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
use super::figure::plain;
use super::looks::{Ground, Look, looks};
use super::spread::Spread;
use super::table::{scale_at, xs};
use super::verdict::spread_at;
use crate::report::{Chart, Kind, Point, Series, Unit};

/// In pixels, as many as a page of text is wide.
const WIDTH: f64 = 840.0;

/// Of a pixel of the SVG, in the PNG.
const PNG_SCALE: f32 = 2.0;

/// As SVG, with text as text.
pub fn svg(chart: &Chart, ground: &Ground) -> String {
    let (plots, layout) = match xs(chart)[..] {
        [x] => bars(chart, ground, x),
        _ => lines(chart, ground),
    };
    let layout = layout
        .with_width(WIDTH)
        .with_title(&chart.title)
        .with_subtitle(what_is_counted(chart))
        .with_theme(ground.theme())
        .with_title_size(17)
        .with_subtitle_size(13)
        .with_label_size(13)
        .with_tick_size(12)
        .with_body_size(12);
    SvgBackend::new().render_scene(&render_multiple(plots, layout))
}

/// The same as PNG, with a font of its own: which ones are installed makes no difference.
pub fn png(svg: &str) -> Result<Vec<u8>> {
    let mut options = Options::default();
    options.fontdb_mut().load_font_data(dejavu::sans::regular().to_vec());
    let drawing = Tree::from_str(svg, &options)?;
    let size = drawing.size().to_int_size().scale_by(PNG_SCALE).context("no size")?;
    let mut pixels = Pixmap::new(size.width(), size.height()).context("no size")?;
    resvg::render(&drawing, Transform::from_scale(PNG_SCALE, PNG_SCALE), &mut pixels.as_mut());
    Ok(pixels.encode_png()?)
}

/// Such as "time of a wait; less is better", or "calls a second" where ours is not judged.
pub fn what_is_counted(chart: &Chart) -> String {
    let y = &chart.y;
    let (counted, better) = match chart.unit {
        Unit::Nanoseconds => (format!("time of {y}"), "less"),
        Unit::Bytes => (format!("memory of {y}"), "less"),
        Unit::PerSecond => (format!("{y} a second"), "more"),
    };
    match chart.others().next() {
        Some(_) => format!("{counted}; {better} is better"),
        None => counted,
    }
}

fn lines(chart: &Chart, ground: &Ground) -> (Vec<Plot>, Layout) {
    let points: Vec<Vec<(f64, Spread)>> = chart.series.iter().map(points).collect();
    let all = points.iter().flatten();
    let x_axis = Axis::for_values(all.clone().map(|(x, _)| *x));
    let y_axis = Axis::for_values(all.map(|(_, spread)| spread.median));

    let looks = looks(&chart.series);
    let mut layers = Vec::new();
    for ((series, look), points) in chart.series.iter().zip(&looks).zip(&points) {
        layers.push((series.kind, curve(points, look, ground, &x_axis, &y_axis)));
    }
    layers.sort_by_key(|(kind, _)| in_front(*kind));
    let plots: Vec<Plot> = layers.into_iter().flat_map(|(_, plots)| plots).collect();

    let entries = chart.series.iter().zip(&looks).map(|(series, look)| LegendEntry {
        label: series.contestant.clone(),
        color: ground.shade(look).into(),
        shape: look.marker.map_or(LegendShape::Line, LegendShape::Marker),
        dasharray: look.dashes.map(Into::into),
    });
    let unit = chart.unit;
    let layout = Layout::auto_from_plots(&plots)
        .with_height(460.0)
        .with_x_label(&chart.x)
        .with_legend_entries(entries.collect())
        .with_legend_position(LegendPosition::OutsideRightTop)
        .with_legend_box(false);
    let layout = with_x_axis(layout, x_axis, plain);
    (plots, with_y_axis(layout, y_axis, move |value| unit.at_mark(value)))
}

fn points(series: &Series) -> Vec<(f64, Spread)> {
    let spread = |point: &Point| Some((point.x, Spread::of(&point.samples)?));
    let mut points: Vec<_> = series.points.iter().filter_map(spread).collect();
    points.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    points
}

/// Ours lies over the others, and the others over ours with something forced.
fn in_front(kind: Kind) -> usize {
    match kind {
        Kind::OursForced => 0,
        Kind::Bare | Kind::Peer | Kind::Reference => 1,
        Kind::Ours => 2,
    }
}

/// The medians, with a band between the quartiles.
fn curve(
    points: &[(f64, Spread)],
    look: &Look,
    ground: &Ground,
    x_axis: &Axis,
    y_axis: &Axis,
) -> Vec<Plot> {
    let color = ground.shade(look);
    let along = || points.iter().map(|(x, _)| x_axis.position(*x));
    let heights =
        |of: fn(&Spread) -> f64| points.iter().map(move |(_, spread)| y_axis.position(of(spread)));
    let medians: Vec<(f64, f64)> = along().zip(heights(|spread| spread.median)).collect();

    let mut line =
        LinePlot::new().with_data(medians.clone()).with_color(color).with_stroke_width(look.width);
    if let Some(dashes) = look.dashes {
        line = line.with_line_style(LineStyle::Custom(dashes.into()));
    }
    line.band = look.has_band.then(|| {
        let lower = heights(|spread| spread.lower_quartile);
        let upper = heights(|spread| spread.upper_quartile);
        BandPlot::new(along(), lower, upper).with_color(color).with_opacity(0.12)
    });
    let mut plots = vec![Plot::Line(line)];
    if let Some(marker) = look.marker {
        let marks = ScatterPlot::new().with_data(medians).with_color(color).with_marker(marker);
        plots.push(Plot::Scatter(marks.with_size(look.width + 2.0)));
    }
    plots
}

fn with_x_axis(
    layout: Layout,
    axis: Axis,
    write: impl Fn(f64) -> String + Send + Sync + 'static,
) -> Layout {
    let layout = match axis {
        Axis::Linear { end } => layout.with_x_axis_min(-0.02 * end).with_x_axis_max(1.02 * end),
        Axis::Logarithmic { start, end } => {
            layout.with_log_x().with_x_axis_min(start).with_x_axis_max(end)
        }
        Axis::DecadesAndZero { zero, end } => {
            layout.with_x_axis_min(zero - 0.1).with_x_axis_max(end + 0.1).with_x_tick_step(1.0)
        }
    };
    layout.with_x_tick_format(TickFormat::Custom(Arc::new(move |mark| write(axis.value(mark)))))
}

fn with_y_axis(
    layout: Layout,
    axis: Axis,
    write: impl Fn(f64) -> String + Send + Sync + 'static,
) -> Layout {
    let layout = match axis {
        Axis::Linear { end } => layout.with_y_axis_min(0.0).with_y_axis_max(1.1 * end),
        Axis::Logarithmic { start, end } => {
            layout.with_log_y().with_y_axis_min(start).with_y_axis_max(end)
        }
        Axis::DecadesAndZero { zero, end } => {
            layout.with_y_axis_min(zero).with_y_axis_max(end + 0.1).with_y_tick_step(1.0)
        }
    };
    layout.with_y_tick_format(TickFormat::Custom(Arc::new(move |mark| write(axis.value(mark)))))
}

fn bars(chart: &Chart, ground: &Ground, x: f64) -> (Vec<Plot>, Layout) {
    let scale = scale_at(chart, x);
    let unit = chart.unit;
    let mut bars = BarPlot::new().with_horizontal(true).with_width(0.6);
    let mut ends = Vec::new();
    let mut values = Vec::new();
    for (series, look) in chart.series.iter().zip(looks(&chart.series)).rev() {
        let Some(spread) = spread_at(series, x) else { continue };
        bars = bars.with_colored_bar(&series.contestant, spread.median, ground.shade(&look));
        values.push(format!("{} {}", scale.write_spread(&spread), scale.sign));
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
        .with_x_label(format!("{}: {}", chart.x, plain(x)))
        .with_x_tick_format(TickFormat::Custom(Arc::new(move |mark| unit.at_mark(mark))));
    (plots, layout)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::present::looks::{DARK, LIGHT};

    #[test]
    fn text_stays_text_and_is_escaped() {
        let svg = svg(&chart(&[("a <b> & c", &[1.0, 10.0])]), &LIGHT);
        assert!(svg.contains("a &lt;b&gt; &amp; c</text>"));
    }

    #[test]
    fn each_ground_has_a_picture_of_its_own() {
        let chart = chart(&[("poll(2)", &[1.0, 1_000.0]), ("pollset", &[0.0, 10.0])]);
        let [light, dark] = [&LIGHT, &DARK].map(|ground| svg(&chart, ground));
        assert!(light.contains(LIGHT.background) && dark.contains(DARK.background));
    }

    #[test]
    fn a_png_has_twice_the_size() {
        let png = png(&svg(&chart(&[("pollset", &[1.0, 2.0])]), &LIGHT)).unwrap();
        assert_eq!(png[16..20], (2 * WIDTH as u32).to_be_bytes());
    }

    #[test]
    fn a_single_x_makes_bars_that_say_their_figures() {
        let svg = svg(&chart(&[("poll(2)", &[7.0]), ("pollset", &[7.0])]), &LIGHT);
        assert_eq!(svg.matches(">700 ns</text>").count(), 2);
    }

    #[test]
    fn what_has_no_points_is_no_obstacle() {
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
    fn what_is_better_is_said_where_there_are_others() {
        let mut chart = chart(&[("select.poll", &[1.0])]);
        (chart.y, chart.unit) = ("calls".into(), Unit::PerSecond);
        assert_eq!(what_is_counted(&chart), "calls a second; more is better");
        chart.series[0].kind = Kind::Reference;
        assert_eq!(what_is_counted(&chart), "calls a second");
    }

    /// Of each contestant, 100 ns for each of x.
    fn chart(series: &[(&str, &[f64])]) -> Chart {
        let series = series.iter().map(|&(contestant, xs)| Series {
            contestant: contestant.into(),
            kind: Kind::Peer,
            points: xs.iter().map(|&x| Point { x, samples: vec![100.0 * x] }).collect(),
        });
        let mut chart = Chart::new("name", "Title", "descriptors", "a wait", Unit::Nanoseconds);
        chart.series = series.collect();
        chart
    }
}
