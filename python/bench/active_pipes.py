"""The benchmark that libevent came with: many pipes, of which some are active."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from contestants import MAKERS, SELECT, Call, Watcher
from descriptors import pairs
from loops import GEVENT, LOOPS, Loop, present
from measure import Repeated, Run
from processes import processes
from report import Chart, Contestant

ACTIVE = 100
WRITES = 1000
EVENTS = ACTIVE + WRITES


class Pipes:
    """Read from one of them, and another one becomes readable, until the writes are spent."""

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

    def readable(self, reader: int) -> None:
        os.read(reader, 1)
        self.events_left -= 1
        if self.writes_left:
            self.writes_left -= 1
            os.write(self.next[reader], b"e")


# Makes of the pipes a call that spends them.
Player = Callable[[Pipes], Call]


def watch(make: Callable[[], Watcher], pipes: Pipes) -> Call:
    watcher = make()
    for reader in pipes.readers:
        watcher.register(reader)

    def spend() -> None:
        pipes.begin()
        while pipes.events_left:
            for reader in watcher.ready():
                pipes.readable(reader)

    return spend


def run_loop(make: Callable[[], Loop], pipes: Pipes) -> Call:
    loop = make()

    def on_readable(reader: int) -> None:
        pipes.readable(reader)
        if not pipes.events_left:
            loop.stop()

    for reader in pipes.readers:
        loop.add_reader(reader, on_readable, reader)

    def spend() -> None:
        pipes.begin()
        loop.run_forever()

    return spend


def run_gevent(pipes: Pipes) -> Call:
    gevent: Any = importlib.import_module("gevent")
    events: Any = importlib.import_module("gevent.event")
    done = events.Event()

    def on_readable(reader: int) -> None:
        pipes.readable(reader)
        if not pipes.events_left:
            done.set()

    watchers = [gevent.get_hub().loop.io(reader, 1) for reader in pipes.readers]
    for reader, watcher in zip(pipes.readers, watchers):
        watcher.start(on_readable, reader)

    def spend() -> None:
        done.clear()
        pipes.begin()
        done.wait()

    return spend


def play(player: Player, size: int, pipe: Connection) -> None:
    with pairs(size, os.pipe) as (readers, writers):
        repeated = Repeated(player(Pipes(readers, writers)))
        pipe.send("ready")
        while True:
            pipe.recv()
            pipe.send(repeated.sample() / EVENTS)


BARE: dict[Contestant, Player] = {who: partial(watch, make) for who, make in MAKERS.items()}
ON_LOOPS: dict[Contestant, Player] = {
    **{who: partial(run_loop, make) for who, make in LOOPS.items()},
    GEVENT: run_gevent,
}


def active_pipes(run: Run) -> list[Chart]:
    """n pipes, of which a hundred are active: the benchmark of libevent. For each event a byte is
    read and one is written to another pipe, until a thousand writes are spent, and then until all
    is read. Processor time an event, the read and the write included. Each contestant has a process
    and pipes of its own, and takes its turn. The event loops call a function for each event.
    """
    title = "Python: n pipes, 100 active"
    bare = Chart("python-active-pipes", title, "pipes", "a byte")
    loops = Chart("python-active-pipes-loops", f"{title}, event loops", "pipes", "a byte")
    sizes = run.sizes(100, 300, 1000, 3000, 9000)
    for size in run.over("pipes", sizes):
        bare.add(size, in_turn(run, size, BARE))
    for size in run.over("pipes, event loops", sizes):
        loops.add(size, in_turn(run, size, {who: ON_LOOPS[who] for who in present(ON_LOOPS)}))
    return [bare, loops]


def in_turn(
    run: Run, size: int, players: dict[Contestant, Player]
) -> dict[Contestant, list[float]]:
    with processes() as start:
        children = {
            who: start(partial(play, player, size))[1]
            for who, player in players.items()
            if who is not SELECT or size <= 1000
        }
        samples: dict[Contestant, list[float]] = {who: [] for who in children}
        for child in children.values():
            child.recv()
        for who in run.turns(children):
            children[who].send("go")
            samples[who].append(children[who].recv())
    return samples
