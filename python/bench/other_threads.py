"""What other threads get done beside one that asks again and again."""

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
from contestants import (
    EPOLL,
    MAKERS,
    OURS,
    OURS_ON_EPOLL,
    OURS_ON_POLL,
    POLL,
    Call,
    Selector,
    Watcher,
    watching,
)
from descriptors import none, single
from loops import ASYNCIO, ASYNCIO_ON_OURS, ASYNCIO_ON_POLL, LOOPS, Loop
from measure import Run
from report import Chart, Contestant

# In seconds.
CHOICE = 0.05  # until ours has chosen its engine
CONTENTION = 0.02  # until ours knows that other threads want the interpreter lock


def as_reference(contestant: Contestant) -> Contestant:
    return contestant._replace(kind="reference")


# Ours is judged beside what it takes the place of. The rest are references.
SLEEP = Contestant("time.sleep", "reference")
OBJECTS: dict[Contestant, Callable[[], Watcher]] = {
    POLL: MAKERS[POLL],
    as_reference(EPOLL): MAKERS[EPOLL],
    **{who: MAKERS[who] for who in (OURS, OURS_ON_POLL, OURS_ON_EPOLL)},
}
SELECTORS: dict[Contestant, Callable[[], Watcher]] = {
    Contestant("selectors.PollSelector", "peer"): partial(Selector, selectors.PollSelector),
    Contestant("selectors.EpollSelector", "reference"): partial(Selector, selectors.EpollSelector),
    Contestant("pollset.PollSelector", "ours"): partial(Selector, pollset.PollSelector),
}
ON_LOOPS: dict[Contestant, Callable[[], Loop]] = {
    ASYNCIO_ON_POLL: LOOPS[ASYNCIO_ON_POLL],
    as_reference(ASYNCIO): LOOPS[ASYNCIO],
    ASYNCIO_ON_OURS: LOOPS[ASYNCIO_ON_OURS],
}


class Rates(NamedTuple):
    """Of all other threads, and of the one that asks; a second."""

    others: float
    asking: float


# Gives the rates of a round of that many seconds.
Player = Callable[[float], Rates]
Samples = Mapping[Contestant, list[Rates]]


class Charts:
    """One of what the other threads get done, and one of what the thread does that asks."""

    def __init__(
        self,
        name: str,
        title: str,
        x: str,
        contestants: Iterable[Contestant],
        others: str = "round trips",
        asking: str = "calls",
    ) -> None:
        self.contestants = list(contestants)
        self.others = Chart(name, f"{title}: {others}", x, others, "per-second")
        self.asking = Chart(f"{name}-asking", f"{title}: {asking}", x, asking, "per-second")

    def add(self, x: int, samples: Samples) -> None:
        for who in self.contestants:
            others, asking = zip(*samples[who])
            self.others.add(x, {who: list(others)})
            if who is not SLEEP:
                # No race: a thread that leaves the lock to others for longer makes fewer calls.
                is_ours = who.kind in ("ours", "ours-forced")
                self.asking.add(x, {who if is_ours else as_reference(who): list(asking)})


def other_threads(run: Run) -> list[Chart]:
    """A thread asks again and again, with timeout 0, and none of n descriptors is ready. Another
    thread, or several, each pass a byte through a pipe of their own. Round trips of all of them a
    second, and calls of the one that asks. Then asyncio: a callback that is always ready, and a
    thread of an executor that reads single bytes from /dev/zero. Reads a second, and turns of the
    loop. By the clock, as threads wait for the interpreter lock here. pollset is judged by what
    others get done beside select.poll, whose place it takes, or selectors.PollSelector. The rest
    are references: time.sleep is a thread that sleeps instead of asking; on epoll, a call releases
    the lock for less time than on poll. Calls and turns are not judged: a thread that leaves the
    lock to others for longer makes fewer.
    """
    objects, selectors = [SLEEP, *OBJECTS], [SLEEP, *SELECTORS]

    name, x = "python-other-threads", "descriptors watched"
    title = "Python: one thread asks, another passes a byte"
    by_size = [
        Charts(name, title, x, objects),
        Charts(f"{name}-selectors", f"{title}, selectors", x, selectors),
    ]
    for size in run.over("asking about", run.sizes(3, 64, 1000, 9000)):
        samples = in_turn_beside(run, threads=1, size=size)
        for each in by_size:
            each.add(size, samples)

    x, title = "other threads", "Python: one thread asks about 1,000, others pass a byte"
    by_threads = [
        Charts(f"{name}-several", title, x, objects),
        Charts(f"{name}-several-selectors", f"{title}, selectors", x, selectors),
    ]
    for threads in run.over("other threads", [1, 2, 10]):
        samples = in_turn_beside(run, threads, size=1000)
        for each in by_threads:
            each.add(threads, samples)

    x, title = "idle readers", "Python: a busy event loop and a thread that reads"
    loops = Charts(f"{name}-asyncio", title, x, ON_LOOPS, "reads", "turns")
    for idle in run.over("event loops, idle readers", [0, 1000]):
        loops.add(idle, in_turn_beside_loops(run, idle))

    charts = [*by_size, *by_threads, loops]
    return [chart for each in charts for chart in (each.others, each.asking)]


def in_turn(run: Run, players: Mapping[Contestant, Player]) -> Samples:
    rounds, seconds = (3, 0.05) if run.quick else (11, 0.15)
    samples: dict[Contestant, list[Rates]] = {who: [] for who in players}
    for who in run.turns(players, rounds):
        samples[who].append(players[who](seconds))
    return samples


def in_turn_beside(run: Run, threads: int, size: int) -> Samples:
    with single(size, none) as numbers, watching(numbers, {**OBJECTS, **SELECTORS}) as watchers:
        calls = {who: watcher.call(0) for who, watcher in watchers.items()}
        for call in calls.values():
            repeat(call, CHOICE)
        calls[SLEEP] = partial(time.sleep, 0.01)
        return in_turn(run, {who: partial(ask, call, threads) for who, call in calls.items()})


def repeat(call: Call, seconds: float) -> int:
    """How many calls that are."""
    calls = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        call()
        calls += 1
    return calls


def ask(call: Call, threads: int, seconds: float) -> Rates:
    with passing_bytes(threads) as round_trips:
        repeat(call, CONTENTION)
        start, before = time.monotonic(), sum(round_trips)
        calls = repeat(call, seconds)
        duration, done = time.monotonic() - start, sum(round_trips) - before
    return Rates(done / duration, calls / duration)


@contextmanager
def passing_bytes(threads: int) -> Iterator[list[int]]:
    """Threads that do so. Gives the round trips of each, which it goes on counting."""
    round_trips = [0] * threads
    is_over = False

    def run(number: int) -> None:
        reader, writer = os.pipe()
        while not is_over:
            os.write(writer, b"x")
            os.read(reader, 1)
            round_trips[number] += 1
        os.close(reader)
        os.close(writer)

    started = [threading.Thread(target=run, args=[number]) for number in range(threads)]
    for thread in started:
        thread.start()
    try:
        yield round_trips
    finally:
        is_over = True
        for thread in started:
            thread.join()


def in_turn_beside_loops(run: Run, idle: int) -> Samples:
    with single(idle, none) as numbers:
        loops = {who: make() for who, make in ON_LOOPS.items()}
        try:
            for loop in loops.values():
                for fd in numbers:
                    loop.add_reader(fd, os.read, fd, 1)
            return in_turn(run, {who: partial(keep_busy, loop) for who, loop in loops.items()})
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
        await asyncio.sleep(CHOICE + CONTENTION)
        start, reads_before, turns_before = time.monotonic(), reads, turns
        await asyncio.sleep(seconds)
        duration = time.monotonic() - start
        rates = Rates((reads - reads_before) / duration, (turns - turns_before) / duration)
        is_over = True
        await reading
        return rates

    with ThreadPoolExecutor(1) as executor:
        return loop.run_until_complete(main())
