"""What a wait costs from Python: pollset.poll beside select.poll and select.epoll.

python python/bench/waits.py [TABLE...]

Prints nanoseconds a call, the lower quartile of rounds that alternate between the three in one
process, on the same descriptors.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import pollset

ROUNDS = 101
ROUND = 1_000_000  # nanoseconds

Call = Callable[[], object]


def in_turn(*calls: Call) -> list[float]:
    """Nanoseconds that one call of each takes."""
    loops = []
    for call in calls:
        count = 1
        while (taken := timed(call, count)) < ROUND // 4:
            count *= 2
        loops.append(max(1, count * ROUND // taken))
    samples: list[list[float]] = [[] for _ in calls]
    for _ in range(ROUNDS):
        for call, count, times in zip(calls, loops, samples):
            timed(call, max(1, count // 8))  # gets the caches back from the others
            times.append(timed(call, count) / count)
    return [sorted(times)[ROUNDS // 4] for times in samples]


def timed(call: Call, count: int) -> int:
    repeated = (None,) * count
    start = time.perf_counter_ns()
    for _ in repeated:
        call()
    return time.perf_counter_ns() - start


@contextmanager
def sockets(count: int, ready: Callable[[int, int], bool]) -> Iterator[list[int]]:
    """One end of each of so many socket pairs, of which some have something to read."""
    with ExitStack() as stack:
        numbers = []
        for place in range(count):
            near, far = socket.socketpair()
            stack.enter_context(near)
            stack.enter_context(far)
            if ready(place, count):
                far.send(b"!")
            numbers.append(near.fileno())
        yield numbers


def first(place: int, count: int) -> bool:
    return place == 0


def second(place: int, count: int) -> bool:
    return place == 1


def middle(place: int, count: int) -> bool:
    return place == count // 2


def every(place: int, count: int) -> bool:
    return True


def no(place: int, count: int) -> bool:
    return False


def contestants(numbers: list[int]) -> tuple[Any, Any, Any]:
    objects = select.poll(), select.epoll(), pollset.poll()
    for each in objects:
        for number in numbers:
            each.register(number, select.POLLIN)
    return objects


def waits(counts: list[int], ready: Callable[[int, int], bool], timeout: int | None) -> None:
    """Waits with this timeout; epoll with room for every event."""
    header("n")
    for count in counts:
        with sockets(count, ready) as numbers:
            poll, epoll, ours = contestants(numbers)
            assert ours.poll(0) == poll.poll(0)
            for _ in range(3000 if count > 8 else 100):  # until it has chosen its engine
                ours.poll(0)
            row(
                str(count),
                partial(poll.poll, timeout),
                partial(epoll.poll, timeout, count),  # in seconds, but for None and 0 it's the same
                partial(ours.poll, timeout),
            )
            epoll.close()


def one_ready_blocking() -> None:
    """One socket of n ready, timeout None"""
    waits([1, 3, 8, 64, 1000, 9000], middle, None)


def one_ready_asking() -> None:
    """One socket of n ready, timeout 0"""
    waits([1, 3, 8, 64, 1000, 9000], middle, 0)


def all_ready() -> None:
    """All of n sockets ready, timeout 0"""
    waits([1, 3, 8, 64, 1000, 9000], every, 0)


def none_ready() -> None:
    """None of n sockets ready, timeout 0"""
    waits([1, 3, 8, 64, 1000, 9000], no, 0)


def transient() -> None:
    """A new object, n sockets registered, poll(0), dropped; the first is ready"""
    header("n")
    for count in [1, 3]:
        with sockets(count, first) as numbers:
            makers = select.poll, select.epoll, pollset.poll
            row(str(count), *(partial(ask_once, make, numbers) for make in makers))


def ask_once(make: Callable[[], Any], numbers: list[int]) -> None:
    each = make()
    for number in numbers:
        each.register(number, 1)
    each.poll(0)


def modify() -> None:
    """Twice: modify() of one of n sockets, to another mask, and poll(0); one other is ready"""
    header("n")
    for count in [3, 64, 1000, 9000]:
        with sockets(count, second) as numbers:
            poll, epoll, ours = contestants(numbers)
            for _ in range(3000):
                ours.poll(0)

            row(
                str(count),
                *(partial(modify_twice, each, numbers[0]) for each in (poll, epoll, ours)),
            )
            epoll.close()


def modify_twice(each: Any, number: int) -> None:
    each.modify(number, 3)
    each.poll(0)
    each.modify(number, 1)
    each.poll(0)


def header(first: str) -> None:
    print(f"| {first} | select.poll | select.epoll | pollset.poll | beside the better |")
    print("|---|---|---|---|---|")


def row(first: str, *calls: Call) -> None:
    poll, epoll, ours = in_turn(*calls)
    ratio = ours / min(poll, epoll)
    print(f"| {first} | {poll:,.0f} | {epoll:,.0f} | {ours:,.0f} | {ratio:.2f} |", flush=True)


TABLES = [one_ready_blocking, one_ready_asking, all_ready, none_ready, transient, modify]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [table.__name__ for table in TABLES]
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=", ".join(names))
    chosen = parser.parse_args().tables or names
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    python = f"{platform.python_implementation()} {platform.python_version()}"
    print(f"{python}, {platform.system()} {platform.release()}, {os.cpu_count()} CPUs\n")
    for table in TABLES:
        if table.__name__ in chosen:
            print(f"{table.__name__}: {table.__doc__}\n")
            table()
            print()


if __name__ == "__main__":
    main()
