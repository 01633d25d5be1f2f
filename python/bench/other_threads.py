"""The throughput of other threads beside a thread that polls in a loop."""

from __future__ import annotations

import asyncio
import os
import selectors
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import pollset
from descriptors import eventfds, none
from loops import ASYNCIO, ASYNCIO_ON_POLL, ASYNCIO_ON_POLLSET, LOOPS, Loop
from measure import Run
from report import Chart, Subject
from subjects import (
    EPOLL,
    POLL,
    POLLSET,
    POLLSET_ON_EPOLL,
    POLLSET_ON_POLL,
    WATCHERS,
    Call,
    Selector,
    Watcher,
    watching,
)

# In seconds.
ENGINE_CHOICE = 0.05  # until pollset has settled on an engine
CONTENTION = 0.02  # until pollset has noticed that other threads want the interpreter lock


def as_reference(subject: Subject) -> Subject:
    return subject._replace(kind="reference")


# pollset is compared with the class that it replaces. The rest are references.
SLEEP = Subject("time.sleep", "reference")
OBJECTS: dict[Subject, Callable[[], Watcher]] = {
    POLL: WATCHERS[POLL],
    as_reference(EPOLL): WATCHERS[EPOLL],
    **{subject: WATCHERS[subject] for subject in (POLLSET, POLLSET_ON_POLL, POLLSET_ON_EPOLL)},
}
SELECTORS: dict[Subject, Callable[[], Watcher]] = {
    Subject("selectors.PollSelector", "peer"): partial(Selector, selectors.PollSelector),
    Subject("selectors.EpollSelector", "reference"): partial(Selector, selectors.EpollSelector),
    Subject("pollset.PollSelector", "ours"): partial(Selector, pollset.PollSelector),
}
ON_LOOPS: dict[Subject, Callable[[], Loop]] = {
    ASYNCIO_ON_POLL: LOOPS[ASYNCIO_ON_POLL],
    as_reference(ASYNCIO): LOOPS[ASYNCIO],
    ASYNCIO_ON_POLLSET: LOOPS[ASYNCIO_ON_POLLSET],
}


class Rates(NamedTuple):
    """Operations per second: of all other threads together, and of the polling thread."""

    others: float
    polling: float


# Measures a round of that many seconds.
Round = Callable[[float], Rates]
Samples = Mapping[Subject, list[Rates]]


class Charts:
    """A chart of the other threads, and one of the polling thread."""

    def __init__(
        self,
        name: str,
        title: str,
        x: str,
        subjects: Iterable[Subject],
        others: str = "round trips",
        polling: str = "calls",
    ) -> None:
        self.subjects = list(subjects)
        self.others = Chart(name, f"{title}: {others}", x, others, "per-second")
        self.polling = Chart(f"{name}-asking", f"{title}: {polling}", x, polling, "per-second")

    def add(self, x: int, samples: Samples) -> None:
        for subject in self.subjects:
            others, polling = zip(*samples[subject])
            self.others.add(x, {subject: list(others)})
            if subject is not SLEEP:
                # Not compared: a thread that releases the lock for longer makes fewer calls.
                is_pollset = subject.kind in ("ours", "ours-forced")
                shown = subject if is_pollset else as_reference(subject)
                self.polling.add(x, {shown: list(polling)})


def other_threads(run: Run) -> list[Chart]:
    """A thread polls n descriptors in a loop with timeout 0; none is ready. One or more other
    threads each pass a byte through a pipe of their own. Round trips of all of them per second, and
    calls of the polling thread. Then asyncio: a callback that is always scheduled, and a thread of
    an executor that reads single bytes from /dev/zero. Reads per second, and turns of the loop.
    Elapsed time, as threads wait for the interpreter lock here. The throughput of the other threads
    is compared with that beside select.poll or selectors.PollSelector, which pollset replaces. The
    rest are references: time.sleep is a thread that sleeps in place of polling; a call on epoll
    releases the lock for less time than one on poll. Calls and turns are not compared: a thread
    that releases the lock for longer makes fewer.
    """
    objects, selectors = [SLEEP, *OBJECTS], [SLEEP, *SELECTORS]

    name, x = "python-other-threads", "descriptors watched"
    title = "Python: one thread polls, another passes a byte"
    by_size = [
        Charts(name, title, x, objects),
        Charts(f"{name}-selectors", f"{title}, selectors", x, selectors),
    ]
    for size in run.over("descriptors, one other thread", run.sizes(3, 64, 1000, 9000)):
        samples = in_turn_beside(run, threads=1, size=size)
        for charts in by_size:
            charts.add(size, samples)

    x, title = "other threads", "Python: one thread polls 1,000 descriptors, others pass a byte"
    by_threads = [
        Charts(f"{name}-several", title, x, objects),
        Charts(f"{name}-several-selectors", f"{title}, selectors", x, selectors),
    ]
    for threads in run.over("other threads", [1, 2, 10]):
        samples = in_turn_beside(run, threads, size=1000)
        for charts in by_threads:
            charts.add(threads, samples)

    x, title = "idle readers", "Python: a busy event loop and a thread that reads"
    loops = Charts(f"{name}-asyncio", title, x, ON_LOOPS, "reads", "turns")
    for idle in run.over("event loops, idle readers", [0, 1000]):
        loops.add(idle, in_turn_beside_loops(run, idle))

    return [
        chart
        for charts in (*by_size, *by_threads, loops)
        for chart in (charts.others, charts.polling)
    ]


def in_turn(run: Run, subjects: Mapping[Subject, Round]) -> Samples:
    rounds, seconds = (3, 0.05) if run.quick else (11, 0.15)
    samples: dict[Subject, list[Rates]] = {subject: [] for subject in subjects}
    for subject in run.turns(subjects, rounds):
        samples[subject].append(subjects[subject](seconds))
    return samples


def in_turn_beside(run: Run, threads: int, size: int) -> Samples:
    with eventfds(size, none) as fds, watching(fds, {**OBJECTS, **SELECTORS}) as watchers:
        calls = {subject: watcher.call(0) for subject, watcher in watchers.items()}
        for call in calls.values():
            repeat(call, ENGINE_CHOICE)
        calls[SLEEP] = partial(time.sleep, 0.01)
        return in_turn(
            run, {subject: partial(poll_beside, call, threads) for subject, call in calls.items()}
        )


def repeat(call: Call, seconds: float) -> int:
    """Returns the number of calls."""
    calls = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        call()
        calls += 1
    return calls


def poll_beside(call: Call, threads: int, seconds: float) -> Rates:
    with passing_bytes(threads) as round_trips:
        repeat(call, CONTENTION)
        start, before = time.monotonic(), sum(round_trips)
        calls = repeat(call, seconds)
        duration, done = time.monotonic() - start, sum(round_trips) - before
    return Rates(done / duration, calls / duration)


@contextmanager
def passing_bytes(threads: int) -> Iterator[list[int]]:
    """Runs threads that pass a byte through a pipe in a loop. Yields a list of the round trips of
    each thread, which the threads update.
    """
    round_trips = [0] * threads
    is_over = False

    def run(index: int) -> None:
        reader, writer = os.pipe()
        while not is_over:
            os.write(writer, b"x")
            os.read(reader, 1)
            round_trips[index] += 1
        os.close(reader)
        os.close(writer)

    started = [threading.Thread(target=run, args=[index]) for index in range(threads)]
    for thread in started:
        thread.start()
    try:
        yield round_trips
    finally:
        is_over = True
        for thread in started:
            thread.join()


def in_turn_beside_loops(run: Run, idle: int) -> Samples:
    with eventfds(idle, none) as fds:
        loops = {subject: make() for subject, make in ON_LOOPS.items()}
        try:
            for loop in loops.values():
                for fd in fds:
                    loop.add_reader(fd, os.read, fd, 1)
            return in_turn(
                run, {subject: partial(keep_busy, loop) for subject, loop in loops.items()}
            )
        finally:
            for loop in loops.values():
                loop.close()


def keep_busy(loop: Loop, seconds: float) -> Rates:
    reads = turns = 0
    is_over = False

    def read() -> None:
        nonlocal reads
        with open("/dev/zero", "rb", buffering=0) as zeros:
            while not is_over:
                zeros.read(1)
                reads += 1

    def turn() -> None:
        nonlocal turns
        turns += 1
        if not is_over:
            loop.call_soon(turn)

    async def main() -> Rates:
        nonlocal is_over
        turn()
        reading = loop.run_in_executor(executor, read)
        await asyncio.sleep(ENGINE_CHOICE + CONTENTION)
        start, reads_before, turns_before = time.monotonic(), reads, turns
        await asyncio.sleep(seconds)
        duration = time.monotonic() - start
        rates = Rates((reads - reads_before) / duration, (turns - turns_before) / duration)
        is_over = True
        await reading
        return rates

    with ThreadPoolExecutor(1) as executor:
        return loop.run_until_complete(main())
