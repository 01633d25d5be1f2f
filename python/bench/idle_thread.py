"""Measures single-threaded workloads beside an idle second thread, too."""

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

DESCRIPTION = (
    "Measured in a process with one thread, and again beside an idle thread, which waits for a "
    "threading.Event. select.poll releases the interpreter lock in every call; pollset keeps it "
    "during short calls while there is no other thread. When threads share the descriptor table, "
    "the kernel also takes a reference to each file that poll(2) and select(2) check."
)


def also_beside_idle_thread(workload: Workload) -> Workload:
    """Each chart is followed by its copy measured beside an idle thread."""

    @wraps(workload)
    def measure_both(run: Run) -> list[Chart]:
        alone = workload(run)
        assert thread_count() == 1, "the process should have had one thread"
        with idle_thread():
            beside = workload(run)
            assert thread_count() == 2, "the process should have had two threads"
        for chart in beside:
            chart.name += "-beside-thread"
            chart.title += ", beside an idle thread"
        return [chart for pair in zip(alone, beside) for chart in pair]

    measure_both.__doc__ = f"{inspect.getdoc(workload)}\n{DESCRIPTION}"
    return measure_both


@contextmanager
def idle_thread() -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def thread_count() -> int:
    """The number of threads that have an interpreter state."""
    return len(sys._current_frames())
