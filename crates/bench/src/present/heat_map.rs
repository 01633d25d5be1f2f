//! The regret of pollset by x and row.

use std::sync::Arc;

use kuva::plot::{ColorMap, Heatmap, LabelStyle, LinePlot, ScatterPlot};
use kuva::render::layout::Layout;
use kuva::render::plots::Plot;

use super::regret::{Regret, rows};
use super::style::Theme;
use super::table::x_values;
use crate::numbers::format_number;
use crate::report::{Chart, Row};

/// Pixels.
const ROW_HEIGHT: f64 = 20.0;
/// Of all around the rows: titles, ticks and the label of the axis.
const MARGINS: f64 = 125.0;

/// The regret from which a cell is as hot as it gets.
const MAX_REGRET: f64 = 2.0;

/// Each cell has its regret as text. Those over the target are framed.
pub fn heat_map(chart: &Chart, theme: &'static Theme) -> (Vec<Plot>, Layout) {
    let xs = x_values(chart);
    let mut lines = lines(chart);
    lines.reverse(); // the lowest first

    let mut ratios = vec![vec![f64::NAN; xs.len()]; lines.len()];
    let (mut positions, mut texts, mut frames) = (Vec::new(), Vec::new(), Vec::new());
    for (line, (_, row)) in lines.iter().enumerate() {
        for (column, &x) in xs.iter().enumerate() {
            let Some(regret) = row.and_then(|row| Regret::at(chart, Some(row), x)) else {
                continue;
            };
            ratios[line][column] = regret.ratio;
            // Cells are squares of side 1 around whole numbers.
            let (x, y) = (column as f64 + 1.0, line as f64 + 1.0);
            positions.push((x, y - 0.5));
            texts.push(format!("{:.2}", regret.ratio));
            if regret.is_over_target {
                frames.push(frame(x, y, theme));
            }
        }
    }
    let colors = color_map(ratios.iter().flatten().copied(), theme);
    // Their baseline is this size and 2 pixels above the position.
    let texts = ScatterPlot::new()
        .with_data(positions)
        .with_labels(texts)
        .with_label_style(LabelStyle::Exact)
        .with_size(4.0)
        .with_marker_opacity(0.0);
    let heat_map = Heatmap::new().with_data(ratios).with_color_map(colors).with_cell_size(1.0);
    let mut plots = vec![Plot::Heatmap(heat_map), Plot::Scatter(texts)];
    plots.extend(frames);

    let mut layout = Layout::auto_from_plots(&plots)
        .with_height(MARGINS + ROW_HEIGHT * lines.len() as f64)
        .with_show_grid(false)
        .with_x_label(&chart.x)
        .with_x_categories(xs.iter().map(|&x| format_number(x)).collect())
        .with_y_categories(lines.into_iter().map(|(label, _)| label).collect());
    layout.show_colorbar = false; // The cells have numbers.
    (plots, layout)
}

/// The rows with their labels, from top to bottom, below the headings of their groups.
fn lines(chart: &Chart) -> Vec<(String, Option<&Row>)> {
    let mut lines = Vec::new();
    let mut group = None;
    for row in rows(chart).into_iter().flatten() {
        if group != Some(&row.group) {
            lines.push((row.group.clone(), None));
            group = Some(&row.group);
        }
        lines.push((row.name.clone(), Some(row)));
    }
    lines
}

/// The colours of these values; of those that are not a number, the background.
fn color_map(values: impl Iterator<Item = f64> + Clone, theme: &'static Theme) -> ColorMap {
    let smallest = values.clone().fold(f64::INFINITY, f64::min);
    let largest = values.fold(f64::NEG_INFINITY, f64::max);
    // The map gets positions between the smallest and the largest value.
    ColorMap::Custom(Arc::new(move |position| {
        let value = smallest + position * (largest - smallest);
        if value.is_nan() { theme.heat(0.0) } else { theme.heat(value.ln() / MAX_REGRET.ln()) }
    }))
}

/// Around the cell at this position.
fn frame(x: f64, y: f64, theme: &Theme) -> Plot {
    let (dx, dy) = (0.495, 0.47);
    let corners = [(x - dx, y - dy), (x + dx, y - dy), (x + dx, y + dy), (x - dx, y + dy)];
    let outline = corners.into_iter().cycle().take(corners.len() + 1);
    Plot::Line(LinePlot::new().with_data(outline).with_color(theme.text).with_stroke_width(1.5))
}
