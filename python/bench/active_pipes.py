"""The benchmark of libevent: many pipes, some of which are active."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from descriptors import pairs
from loops import GEVENT, LOOPS, Loop, installed
from measure import Repeated, Run
from processes import processes
from report import Chart, Subject
from subjects import SELECT, WATCHERS, Call, Watcher

ACTIVE = 100
WRITES = 1000
EVENTS = ACTIVE + WRITES


class Pipes:
    """For each byte read from a pipe one is written to another pipe, WRITES times in all."""

    def __init__(self, readers: list[int], writers: list[int]) -> None:
        self.readers = readers
        self.starts = writers[:: len(writers) // ACTIVE][:ACTIVE]
        ahead = (ACTIVE + 1) % len(readers)
        self.next = dict(zip(readers, writers[ahead:] + writers[:ahead]))
        self.writes_left = self.events_left = 0

    def begin(self) -> None:
        self.writes_left, self.events_left = WRITES, EVENTS
        for writer in self.starts:
            os.write(writer, b"e")

    def on_readable(self, reader: int) -> None:
        os.read(reader, 1)
        self.events_left -= 1
        if self.writes_left:
            self.writes_left -= 1
            os.write(self.next[reader], b"e")


# Watches the pipes, and returns a call that handles EVENTS events.
Setup = Callable[[Pipes], Call]


def set_up_watcher(make: Callable[[], Watcher], pipes: Pipes) -> Call:
    watcher = make()
    for reader in pipes.readers:
        watcher.register(reader)

    def handle_events() -> None:
        pipes.begin()
        while pipes.events_left:
            for reader in watcher.ready():
                pipes.on_readable(reader)

    return handle_events


def set_up_loop(make: Callable[[], Loop], pipes: Pipes) -> Call:
    loop = make()

    def on_readable(reader: int) -> None:
        pipes.on_readable(reader)
        if not pipes.events_left:
            loop.stop()

    for reader in pipes.readers:
        loop.add_reader(reader, on_readable, reader)

    def handle_events() -> None:
        pipes.begin()
        loop.run_forever()

    return handle_events


def set_up_gevent(pipes: Pipes) -> Call:
    gevent: Any = importlib.import_module("gevent")
    events: Any = importlib.import_module("gevent.event")
    done = events.Event()

    def on_readable(reader: int) -> None:
        pipes.on_readable(reader)
        if not pipes.events_left:
            done.set()

    watchers = [gevent.get_hub().loop.io(reader, 1) for reader in pipes.readers]
    for reader, watcher in zip(pipes.readers, watchers):
        watcher.start(on_readable, reader)

    def handle_events() -> None:
        done.clear()
        pipes.begin()
        done.wait()

    return handle_events


def run_child(set_up: Setup, size: int, pipe: Connection) -> None:
    """Sends a sample for each message that it receives: nanoseconds per event."""
    with pairs(size, os.pipe) as (readers, writers):
        repeated = Repeated(set_up(Pipes(readers, writers)))
        pipe.send("ready")
        while True:
            pipe.recv()
            pipe.send(repeated.sample() / EVENTS)


BARE: dict[Subject, Setup] = {
    subject: partial(set_up_watcher, make) for subject, make in WATCHERS.items()
}
ON_LOOPS: dict[Subject, Setup] = {
    **{subject: partial(set_up_loop, make) for subject, make in LOOPS.items()},
    GEVENT: set_up_gevent,
}


def active_pipes(run: Run) -> list[Chart]:
    """The benchmark of libevent: n pipes, a hundred of which are readable. For each byte read one
    is written to another pipe, until a thousand bytes have been written; then the rest is read. CPU
    time per byte, reading and writing included. Each subject has its own process and pipes, and the
    processes take turns. The event loops call a function for each event.
    """
    title = "Python: n pipes, 100 active"
    bare = Chart("python-active-pipes", title, "pipes", "byte")
    loops = Chart("python-active-pipes-loops", f"{title}, event loops", "pipes", "byte")
    sizes = run.sizes(100, 300, 1000, 3000, 9000)
    for size in run.over("pipes", sizes):
        bare.add(size, in_turn(run, size, BARE))
    for size in run.over("pipes, event loops", sizes):
        setups = {subject: ON_LOOPS[subject] for subject in installed(ON_LOOPS)}
        loops.add(size, in_turn(run, size, setups))
    return [bare, loops]


def in_turn(run: Run, size: int, setups: dict[Subject, Setup]) -> dict[Subject, list[float]]:
    with processes() as start:
        children = {
            subject: start(partial(run_child, set_up, size))[1]
            for subject, set_up in setups.items()
            if subject is not SELECT or size <= 1000
        }
        samples: dict[Subject, list[float]] = {subject: [] for subject in children}
        for child in children.values():
            child.recv()
        for subject in run.turns(children):
            children[subject].send("go")
            samples[subject].append(children[subject].recv())
    return samples
