"""The time and the memory of registrations."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import memory
from descriptors import eventfds, none
from measure import Run
from report import Chart, Subject
from subjects import OBJECTS, new_registered, poll_once


def registration(run: Run) -> list[Chart]:
    """n eventfds are registered with a new object. CPU time per descriptor, none of them ready: it
    includes the creation of the object, a register() for each descriptor, and the first poll(0), in
    which select.poll and pollset process the registrations; not the object's destruction. Then
    bytes per descriptor, one of them ready: the memory allocated by malloc after a hundred waits,
    by when pollset has its epoll instance; measured in a process of its own, whose Python allocates
    all objects with malloc. Memory of the kernel is not included.
    """
    sizes = run.sizes(1000, 9000, 19000)
    title = "Python: registration of n descriptors with a new object"
    times = Chart("python-registration", title, "descriptors watched", "descriptor")
    for size in run.over("registration", sizes):
        with eventfds(size, none) as fds:
            samples: dict[Subject, list[float]] = {subject: [] for subject in OBJECTS}
            for subject in run.turns(OBJECTS):
                samples[subject].append(nanoseconds_to_register(OBJECTS[subject], fds) / size)
            times.add(size, samples)

    if not memory.can_be_measured():
        run.console.print("registration: memory is not measured, it needs glibc 2.33 and a GIL")
        return [times]
    title = "Python: heap memory for n registrations"
    held = Chart("python-memory", title, "descriptors watched", "descriptor", "bytes")
    for size in run.over("memory", sizes):
        samples = {subject: [] for subject in OBJECTS}
        for subject in run.turns(OBJECTS, rounds=3):
            samples[subject].append(bytes_held(subject, size) / size)
        held.add(size, samples)
    return [times, held]


def nanoseconds_to_register(make: Callable[[], Any], fds: list[int]) -> int:
    start = time.thread_time_ns()
    registered = new_registered(make, fds)
    poll_once(registered)
    duration = time.thread_time_ns() - start
    getattr(registered, "close", lambda: None)()
    return duration


def bytes_held(subject: Subject, size: int) -> int:
    done = subprocess.run(
        [sys.executable, str(Path(memory.__file__)), subject.name, str(size)],
        env={**os.environ, "PYTHONMALLOC": "malloc"},
        stdout=subprocess.PIPE,
        check=True,
    )
    return int(done.stdout)
