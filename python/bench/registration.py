"""What it takes to register many."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import memory
from contestants import OBJECTS, ask, fill
from descriptors import none, single
from measure import Run
from report import Chart, Contestant


def registration(run: Run) -> list[Chart]:
    """n eventfds are registered. Processor time a descriptor, none of them ready: for a new object,
    a register() for each, and the first poll(0), with which select.poll and pollset take up what
    was registered; not for dropping it. Bytes a descriptor, one of them ready: what malloc has
    given out after a hundred waits, by when pollset has its epoll instance; in a process of its
    own, whose Python takes all its memory from malloc. What the kernel has is not counted.
    """
    sizes = run.sizes(1000, 9000, 19000)
    title = "Python: n are registered with a new object"
    times = Chart("python-registration", title, "descriptors watched", "a descriptor")
    for size in run.over("registering", sizes):
        with single(size, none) as numbers:
            samples: dict[Contestant, list[float]] = {who: [] for who in OBJECTS}
            for who in run.turns(OBJECTS):
                samples[who].append(nanoseconds_to_register(OBJECTS[who], numbers) / size)
            times.add(size, samples)

    if not memory.can_be_counted():
        run.console.print("registration: without the memory, which only glibc's malloc tells")
        return [times]
    title = "Python: on the heap"
    held = Chart("python-memory", title, "descriptors watched", "a descriptor", "bytes")
    for size in run.over("memory of", sizes):
        samples = {who: [] for who in OBJECTS}
        for who in run.turns(OBJECTS, rounds=3):
            samples[who].append(bytes_held(who, size) / size)
        held.add(size, samples)
    return [times, held]


def nanoseconds_to_register(make: Callable[[], Any], numbers: list[int]) -> int:
    start = time.thread_time_ns()
    each = fill(make, numbers)
    ask(each)
    taken = time.thread_time_ns() - start
    getattr(each, "close", lambda: None)()
    return taken


def bytes_held(who: Contestant, size: int) -> int:
    done = subprocess.run(
        [sys.executable, str(Path(memory.__file__)), who.name, str(size)],
        env={**os.environ, "PYTHONMALLOC": "malloc"},
        stdout=subprocess.PIPE,
        check=True,
    )
    return int(done.stdout)
