"""Waits with a constant number of ready descriptors."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pollset
from descriptors import eventfds, every, middle, none, share, sockets
from idle_thread import also_beside_idle_thread
from measure import Run
from report import Chart, Subject
from subjects import POLLSET, SELECTORS, WATCHERS, Selector, Timeout, Watcher, watching


@also_beside_idle_thread
def one_ready(run: Run) -> list[Chart]:
    """One eventfd of n is ready and stays so. CPU time per call: of poll(None), which returns at
    once here, and of poll(0).
    """
    return [
        one_ready_with(run, None, "python-one-ready", "no timeout"),
        one_ready_with(run, 0, "python-one-ready-asking", "timeout 0"),
    ]


def one_ready_with(run: Run, timeout: Timeout, name: str, timeout_text: str) -> Chart:
    title = f"Python: one ready of n, {timeout_text}"
    chart = Chart(name, title, "descriptors watched", "wait")
    for size in run.over(timeout_text, run.sizes(1, 3, 8, 64, 256, 1000, 4000, 9000)):
        with eventfds(size, middle(size)) as fds:
            chart.add(size, time_waits(run, fds, timeout))
    return chart


def time_waits(
    run: Run,
    fds: list[int],
    timeout: Timeout,
    watchers: dict[Subject, Callable[[], Watcher]] = WATCHERS,
) -> dict[Subject, list[float]]:
    with watching(fds, watchers) as made:
        return run.in_turn({subject: watcher.call(timeout) for subject, watcher in made.items()})


@also_beside_idle_thread
def share_ready(run: Run) -> list[Chart]:
    """A share of n sockets, in percent, is ready and stays so, evenly spread. In another chart all
    of a few sockets are ready. CPU time per call without a timeout, which returns all ready ones.
    """
    charts = []
    for size in run.sizes(1000, 9000):
        title = f"Python: a share of {size:,} ready, no timeout"
        chart = Chart(f"python-share-ready-{size}", title, "% ready", "wait")
        for percent in run.over(f"of {size:,}, percent", [1, 10, 25, 50, 100]):
            with sockets(size, share(size, size * percent // 100)) as fds:
                chart.add(percent, time_waits(run, fds, None))
        charts.append(chart)
    title = "Python: all of a few ready, no timeout"
    chart = Chart("python-all-ready", title, "descriptors watched", "wait")
    for size in run.over("all ready", [1, 3, 8, 64]):
        with sockets(size, every) as fds:
            chart.add(size, time_waits(run, fds, None))
    return [*charts, chart]


@also_beside_idle_thread
def none_ready(run: Run) -> list[Chart]:
    """None of n eventfds is ready. CPU time per call of poll(0), which doesn't wait."""
    title = "Python: none ready, timeout 0"
    chart = Chart("python-none-ready", title, "descriptors watched", "wait")
    for size in run.over("none ready", run.sizes(1, 2, 3, 8, 64, 256, 1000, 4000, 9000)):
        with eventfds(size, none) as fds:
            chart.add(size, time_waits(run, fds, 0))
    return [chart]


def audit(run: Run) -> list[Chart]:
    """The cost of the audit, the search for descriptors that were closed without being
    unregistered. pollset.poll spends at most a twentieth of its time on it; pollset.PollSelector
    makes about one pass per second; selectors makes none. One eventfd of n is ready. The two
    return their events in different forms, so compare how each grows with n. CPU time per call
    without a timeout.
    """
    watchers: dict[Subject, Callable[[], Watcher]] = {
        SELECTORS: WATCHERS[SELECTORS],
        POLLSET: WATCHERS[POLLSET],
        Subject("pollset.PollSelector", "ours"): partial(Selector, pollset.PollSelector),
    }
    title = "Python: the audit at its default and at its slow rate"
    chart = Chart("python-audit", title, "descriptors watched", "wait")
    for size in run.over("audit", run.sizes(64, 256, 1000, 4000, 9000, 19000)):
        with eventfds(size, middle(size)) as fds:
            chart.add(size, time_waits(run, fds, None, watchers))
    return [chart]
