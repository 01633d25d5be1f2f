"""Workloads of one thread, measured beside a second one, too."""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps

from measure import Run
from report import Chart

Workload = Callable[[Run], list[Chart]]

IN_BOTH = (
    "All of that in a process with one thread, and once more beside an idle thread, which waits "
    "for a threading.Event. select.poll releases the interpreter lock in every call; pollset keeps "
    "it during short ones while there is no other thread. And when threads share the descriptors, "
    "the kernel takes a reference to each file that poll(2) and select(2) look at."
)


def also_beside_idle_thread(workload: Workload) -> Workload:
    """Each chart is followed by the one from beside an idle thread."""

    @wraps(workload)
    def in_both(run: Run) -> list[Chart]:
        alone = workload(run)
        assert threads() == 1, "the process should have had one thread"
        with idle_thread():
            beside = workload(run)
            assert threads() == 2, "the process should have had two threads"
        for chart in beside:
            chart.name += "-beside-thread"
            chart.title += ", beside an idle thread"
        return [chart for pair in zip(alone, beside) for chart in pair]

    in_both.__doc__ = f"{inspect.getdoc(workload)}\n{IN_BOTH}"
    return in_both


@contextmanager
def idle_thread() -> Iterator[None]:
    is_over = threading.Event()
    thread = threading.Thread(target=is_over.wait)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def threads() -> int:
    """As the interpreter counts them, by their states."""
    return len(sys._current_frames())
