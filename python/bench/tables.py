"""Tables of medians, ± half the interquartile range."""

from __future__ import annotations

from statistics import median, quantiles

from report import Chart, Series
from rich import box
from rich.console import Console
from rich.table import Table


def show(console: Console, chart: Chart) -> None:
    unit = f"{chart.y} per second" if chart.unit == "per-second" else f"{chart.unit} per {chart.y}"
    xs = sorted({point.x for series in chart.series for point in series.points})
    table = Table(box=box.MARKDOWN)
    table.add_column(chart.x)
    for x in xs:
        table.add_column(f"{x:,.0f}", justify="right", no_wrap=True)
    for series in chart.series:
        medians = medians_of(series)
        widths = half_widths_of(series)
        cells = [f"{medians[x]:,.0f} ±{widths[x]:,.0f}" if x in medians else "" for x in xs]
        table.add_row(series.subject, *cells, style="bold" if series.kind == "ours" else None)
    others = [series for series in chart.series if series.kind in ("bare", "peer")]
    for series in chart.series:
        if series.kind == "ours" and others:
            table.add_row(f"{series.subject} / best other", *ratios(chart, series, others, xs))
    console.print(f"{chart.title}; {unit}")
    console.print(table)


def medians_of(series: Series) -> dict[float, float]:
    return {point.x: median(point.samples) for point in series.points}


def half_widths_of(series: Series) -> dict[float, float]:
    return {point.x: half_width(point.samples) for point in series.points}


def half_width(samples: list[float]) -> float:
    """Half the interquartile range: about half of the samples are this close to the median."""
    if len(samples) == 1:
        return 0
    lower, _, upper = quantiles(samples, n=4, method="inclusive")
    return (upper - lower) / 2


def ratios(chart: Chart, ours: Series, others: list[Series], xs: list[float]) -> list[str]:
    other_medians = [medians_of(series) for series in others]
    choose = max if chart.unit == "per-second" else min
    best = {x: choose(medians[x] for medians in other_medians if x in medians) for x in xs}
    medians = medians_of(ours)
    # An object that holds no memory of its own measures as 0 bytes, give or take one: no ratio.
    return [f"{medians[x] / best[x]:.2f}" if best[x] >= 1 else "" for x in xs]
