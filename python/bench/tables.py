"""A report's charts as tables of medians, ± half of the distance between the quartiles."""

from __future__ import annotations

from statistics import median, quantiles

from report import Chart, Series
from rich import box
from rich.console import Console
from rich.table import Table


def show(console: Console, chart: Chart) -> None:
    unit = f"{chart.y} a second" if chart.unit == "per-second" else f"{chart.unit}: {chart.y}"
    places = sorted({point.x for series in chart.series for point in series.points})
    table = Table(box=box.MARKDOWN)
    table.add_column(chart.x)
    for place in places:
        table.add_column(f"{place:,.0f}", justify="right", no_wrap=True)
    for series in chart.series:
        medians = medians_of(series)
        widths = half_widths_of(series)
        cells = [f"{medians[x]:,.0f} ±{widths[x]:,.0f}" if x in medians else "" for x in places]
        table.add_row(series.contestant, *cells, style="bold" if series.kind == "ours" else None)
    others = [series for series in chart.series if series.kind in ("bare", "peer")]
    for series in chart.series:
        if series.kind == "ours" and others:
            table.add_row(
                f"{series.contestant} / best other", *ratios(chart, series, others, places)
            )
    console.print(f"{chart.title}; {unit}")
    console.print(table)


def medians_of(series: Series) -> dict[float, float]:
    return {point.x: median(point.samples) for point in series.points}


def half_widths_of(series: Series) -> dict[float, float]:
    return {point.x: half_width(point.samples) for point in series.points}


def half_width(samples: list[float]) -> float:
    """Half of the samples lie about so close to the median."""
    if len(samples) == 1:
        return 0
    lower, _, upper = quantiles(samples, n=4, method="inclusive")
    return (upper - lower) / 2


def ratios(chart: Chart, ours: Series, others: list[Series], places: list[float]) -> list[str]:
    theirs = [medians_of(series) for series in others]
    choose = max if chart.unit == "per-second" else min
    best = {place: choose(its[place] for its in theirs if place in its) for place in places}
    medians = medians_of(ours)
    # Beside what takes nothing, to a byte or so, there is no ratio.
    return [f"{medians[x] / best[x]:.2f}" if best[x] >= 1 else "" for x in places]
