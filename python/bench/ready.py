"""Waits of which the answer stays the same."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pollset
from contestants import MAKERS, OURS, SELECTORS, Selector, Timeout, Watcher, watching
from descriptors import every, middle, none, share, single, sockets
from idle_thread import also_beside_idle_thread
from measure import Run
from report import Chart, Contestant


@also_beside_idle_thread
def one_ready(run: Run) -> list[Chart]:
    """One eventfd of n is ready and stays so. Processor time a call: poll(None), which waits for as
    long as it takes and here doesn't need to; and poll(0), which asks.
    """
    return [
        one_ready_with(run, None, "python-one-ready", "no timeout"),
        one_ready_with(run, 0, "python-one-ready-asking", "timeout 0"),
    ]


def one_ready_with(run: Run, timeout: Timeout, name: str, timeout_in_words: str) -> Chart:
    title = f"Python: one ready of n, {timeout_in_words}"
    chart = Chart(name, title, "descriptors watched", "a wait")
    for size in run.over(timeout_in_words, run.sizes(1, 3, 8, 64, 256, 1000, 4000, 9000)):
        with single(size, middle(size)) as numbers, watching(numbers) as watchers:
            chart.add(size, run.in_turn({who: its.call(timeout) for who, its in watchers.items()}))
    return chart


@also_beside_idle_thread
def share_ready(run: Run) -> list[Chart]:
    """A share of n sockets, in percent, is ready and stays so, evenly spread; and all of a few.
    Processor time a call without a timeout, which answers with all of them.
    """
    charts = []
    for size in run.sizes(1000, 9000):
        title = f"Python: a share of {size:,} ready, no timeout"
        chart = Chart(f"python-share-ready-{size}", title, "% ready", "a wait")
        for percent in run.over(f"of {size:,}, percent", [1, 10, 25, 50, 100]):
            is_ready = share(size, size * percent // 100)
            with sockets(size, is_ready) as numbers, watching(numbers) as watchers:
                chart.add(
                    percent, run.in_turn({who: its.call(None) for who, its in watchers.items()})
                )
        charts.append(chart)
    title = "Python: all of a few ready, no timeout"
    chart = Chart("python-all-ready", title, "descriptors watched", "a wait")
    for size in run.over("all of", [1, 3, 8, 64]):
        with sockets(size, every) as numbers, watching(numbers) as watchers:
            chart.add(size, run.in_turn({who: its.call(None) for who, its in watchers.items()}))
    return [*charts, chart]


@also_beside_idle_thread
def none_ready(run: Run) -> list[Chart]:
    """None of n eventfds is ready. Processor time a call of poll(0), which doesn't wait."""
    title = "Python: none ready, timeout 0"
    chart = Chart("python-none-ready", title, "descriptors watched", "a wait")
    for size in run.over("none of", run.sizes(1, 2, 3, 8, 64, 256, 1000, 4000, 9000)):
        with single(size, none) as numbers, watching(numbers) as watchers:
            chart.add(size, run.in_turn({who: its.call(0) for who, its in watchers.items()}))
    return [chart]


def audit(run: Run) -> list[Chart]:
    """What looking for descriptors that were closed without being unregistered adds to a wait.
    pollset.poll looks all the time, at most a twentieth of it; pollset.PollSelector at leisure, a
    pass a second. One eventfd of n is ready, and as the two answer in different forms, what counts
    is how each grows with n. Beside them a selector that doesn't look. Processor time a call
    without a timeout.
    """
    makers: dict[Contestant, Callable[[], Watcher]] = {
        SELECTORS: MAKERS[SELECTORS],
        OURS: MAKERS[OURS],
        Contestant("pollset.PollSelector", "ours"): partial(Selector, pollset.PollSelector),
    }
    title = "Python: looking for closed numbers, or next to never"
    chart = Chart("python-audit", title, "descriptors watched", "a wait")
    for size in run.over("audit of", run.sizes(64, 256, 1000, 4000, 9000, 19000)):
        with single(size, middle(size)) as numbers, watching(numbers, makers) as watchers:
            chart.add(size, run.in_turn({who: its.call(None) for who, its in watchers.items()}))
    return [chart]
