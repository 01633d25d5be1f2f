"""An echo server with clients that talk and more that are idle."""

from __future__ import annotations

import asyncio
import importlib
import select
import socket
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple, cast

from contestants import EPOLL, MAKERS, OURS, POLL, SELECTORS, Watcher
from loops import GEVENT, LOOPS, Loop, present
from measure import Run
from processes import Role, Start, processes
from report import Chart, Contestant

TALKERS = 100
MESSAGE = b"a message of thirty-two bytes..."
ADDRESS = ("127.0.0.1", 0)
BACKLOG = 4096


class Echo(asyncio.BufferedProtocol):
    """Has a buffer of its own: the one of 256 KiB that asyncio otherwise makes for each message
    costs several times as much as all the rest, or nothing, as the memory allocator is disposed.
    """

    transport: asyncio.Transport
    buffer = bytearray(4096)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, count: int) -> None:
        self.transport.write(self.buffer[:count])


def serve_on_loop(make: Callable[[], Loop], pipe: Connection) -> None:
    loop = make()
    server = loop.run_until_complete(loop.create_server(Echo, *ADDRESS, backlog=BACKLOG))
    pipe.send(server.sockets[0].getsockname())
    loop.run_forever()


def serve_on_gevent(pipe: Connection) -> None:
    servers: Any = importlib.import_module("gevent.server")

    def echo(connection: socket.socket, address: object) -> None:
        while data := connection.recv(4096):
            connection.sendall(data)

    server = servers.StreamServer(ADDRESS, echo, backlog=BACKLOG)
    server.start()
    pipe.send(server.address)
    server.serve_forever()


def serve_bare(make: Callable[[], Watcher], pipe: Connection) -> None:
    listener = socket.create_server(ADDRESS, backlog=BACKLOG)
    connections: dict[int, socket.socket] = {}
    watcher = make()
    watcher.register(listener.fileno())
    pipe.send(listener.getsockname())
    while True:
        for fd in watcher.ready():
            if fd in connections:
                connection = connections[fd]
                connection.send(connection.recv(4096))
            else:
                connection, _ = listener.accept()
                connection.setblocking(False)
                connections[connection.fileno()] = connection
                watcher.register(connection.fileno())


ON_LOOPS: dict[Contestant, Role] = {
    **{who: partial(serve_on_loop, make) for who, make in LOOPS.items()},
    GEVENT: serve_on_gevent,
}
BARE: dict[Contestant, Role] = {
    who: partial(serve_bare, MAKERS[who]) for who in (POLL, EPOLL, SELECTORS, OURS)
}


class Talk(NamedTuple):
    """What the talkers have seen. Times are in nanoseconds."""

    messages: int
    duration: int
    median: float  # of the round trips
    percentile_99: float


def crowd(address: tuple[str, int], idle: int, pipe: Connection) -> None:
    """The clients: have the talkers talk for as long as the pipe says, again and again."""
    connections = []
    for number in range(idle + TALKERS):
        connection = socket.create_connection(address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connections.append(connection)
        if number % 100 == 99:  # the server has accepted all of them when it answers the last
            talk([connection], 0)
    talkers = connections[idle:]
    pipe.send("connected")
    while True:
        pipe.send(talk(talkers, pipe.recv()))


def talk(talkers: list[socket.socket], nanoseconds: int) -> Talk:
    """Each sends its next message when it has the last one back."""
    with select.epoll() as epoll:
        by_number = {talker.fileno(): talker for talker in talkers}
        start = time.perf_counter_ns()
        sent_at = dict.fromkeys(by_number, start)
        for number, talker in by_number.items():
            epoll.register(number, select.EPOLLIN)
            talker.send(MESSAGE)
        round_trips = []
        while sent_at:
            for number, _ in epoll.poll():
                talker = by_number[number]
                answer = talker.recv(4096)
                assert answer == MESSAGE
                now = time.perf_counter_ns()
                round_trips.append(now - sent_at[number])
                if now - start < nanoseconds:
                    sent_at[number] = now
                    talker.send(MESSAGE)
                else:
                    del sent_at[number]
    round_trips.sort()
    return Talk(
        len(round_trips),
        now - start,
        round_trips[len(round_trips) // 2],
        round_trips[len(round_trips) * 99 // 100],
    )


class Sample(NamedTuple):
    messages_a_second: float
    processor_time: float  # of the server, for a message
    median: float
    percentile_99: float


class Party:
    """A server and its clients."""

    def __init__(self, start: Start, server: Role, idle: int) -> None:
        self.server, pipe = start(server)
        _, self.crowd = start(partial(crowd, pipe.recv(), idle))
        self.crowd.recv()

    def talk(self, nanoseconds: int) -> Sample:
        before = processor_time(self.server)
        self.crowd.send(nanoseconds)
        talk: Talk = self.crowd.recv()
        taken = processor_time(self.server) - before
        return Sample(
            talk.messages * 1e9 / talk.duration,
            taken / talk.messages,
            talk.median,
            talk.percentile_99,
        )


def processor_time(pid: int) -> int:
    nanoseconds, *_ = Path(f"/proc/{pid}/schedstat").read_text().split()
    return int(nanoseconds)


def echo(run: Run) -> list[Chart]:
    """A TCP server in one thread that sends back what it receives, with a hundred clients that send
    32 bytes and wait for the answer, again and again, and more that are idle. Messages a second;
    the processor time that the server takes for a message, which other programs on the
    machine disturb the least; the median and the 99th percentile of the round trips of each round.
    Each server and its clients are two processes of their own. All servers are there at the same
    time, and are talked to in turns. Without an event loop are loops of a few lines. gevent may
    answer some clients many times before it comes to the others, and its median is low then.
    """
    loops = charts("python-echo", "Python: echo server on an event loop")
    bare = charts("python-echo-bare", "Python: echo server without an event loop")
    servers = {**{who: ON_LOOPS[who] for who in present(ON_LOOPS)}, **BARE}
    rounds, nanoseconds = (3, 100_000_000) if run.quick else (15, 500_000_000)
    for idle in run.over("beside idle clients", run.sizes(0, 1000, 9000)):
        with processes() as start:
            parties = {who: Party(start, server, idle) for who, server in servers.items()}
            samples: dict[Contestant, list[Sample]] = {who: [] for who in parties}
            for who in run.turns(parties, rounds):
                samples[who].append(parties[who].talk(nanoseconds))
        for who, its in samples.items():
            for chart, measure in zip(bare if who in BARE else loops, zip(*its)):
                chart.add(idle, {who: list(measure)})
    return [*loops, *bare]


def charts(name: str, title: str) -> list[Chart]:
    """In the order of a sample."""
    return [
        Chart(name, f"{title}: messages", "idle connections", "messages", "per-second"),
        Chart(f"{name}-processor", f"{title}: processor time", "idle connections", "a message"),
        Chart(f"{name}-median", f"{title}: median round trip", "idle connections", "a round trip"),
        Chart(f"{name}-99", f"{title}: 99th percentile", "idle connections", "a round trip"),
    ]
