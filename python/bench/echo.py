"""An echo server with active and idle clients."""

from __future__ import annotations

import asyncio
import importlib
import os
import select
import socket
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple, cast

from loops import GEVENT, LOOPS, Loop, installed
from measure import Run
from processes import Main, Start, processes
from report import Chart, Subject
from subjects import (
    EPOLL,
    POLL,
    POLLSET,
    POLLSET_ON_EPOLL,
    POLLSET_ON_POLL,
    SELECTORS,
    WATCHERS,
    Watcher,
)

MESSAGE = b"a message of thirty-two bytes..."
ADDRESS = ("127.0.0.1", 0)
BACKLOG = 4096


class Echo(asyncio.BufferedProtocol):
    """With a buffer of its own. By default asyncio allocates 256 KiB for each message, which costs
    nothing or several times as much as all else, depending on the state of the allocator.
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


ON_LOOPS: dict[Subject, Main] = {
    **{subject: partial(serve_on_loop, make) for subject, make in LOOPS.items()},
    GEVENT: serve_on_gevent,
}
BARE: dict[Subject, Main] = {
    subject: partial(serve_bare, WATCHERS[subject])
    for subject in (POLL, EPOLL, SELECTORS, POLLSET, POLLSET_ON_POLL, POLLSET_ON_EPOLL)
}


class RoundStats(NamedTuple):
    """Statistics of a round, as the clients measure them. Times are in nanoseconds."""

    messages: int
    duration: int
    median: float  # of the round trips
    percentile_99: float  # of the round trips


def run_clients(address: tuple[str, int], idle: int, pipe: Connection) -> None:
    """Receives numbers of active clients and durations. Connects the clients that are missing, runs
    a round, and sends its statistics.
    """
    connections: list[socket.socket] = []
    while True:
        active, nanoseconds = pipe.recv()
        while len(connections) < idle + active:
            connection = socket.create_connection(address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connections.append(connection)
            # An echo on the newest connection shows that the server has accepted all.
            if len(connections) % 100 == 0:
                exchange([connection], 0)
        pipe.send(exchange(connections[-active:], nanoseconds))


def exchange(connections: list[socket.socket], nanoseconds: int) -> RoundStats:
    """Each client sends its next message when it has received the last one back."""
    with select.epoll() as epoll:
        by_fd = {connection.fileno(): connection for connection in connections}
        start = time.perf_counter_ns()
        sent_at = dict.fromkeys(by_fd, start)
        for fd, connection in by_fd.items():
            epoll.register(fd, select.EPOLLIN)
            connection.send(MESSAGE)
        round_trips = []
        while sent_at:
            for fd, _ in epoll.poll():
                connection = by_fd[fd]
                reply = connection.recv(4096)
                assert reply == MESSAGE
                now = time.perf_counter_ns()
                round_trips.append(now - sent_at[fd])
                if now - start < nanoseconds:
                    sent_at[fd] = now
                    connection.send(MESSAGE)
                else:
                    del sent_at[fd]
    round_trips.sort()
    return RoundStats(
        len(round_trips),
        now - start,
        round_trips[len(round_trips) // 2],
        round_trips[len(round_trips) * 99 // 100],
    )


class Sample(NamedTuple):
    messages_per_second: float
    cpu_time: float  # of the server, per message
    median: float
    percentile_99: float


class ServerAndClients:
    def __init__(self, start: Start, server: Main, idle: int) -> None:
        self.server_pid, pipe = start(pinned(0, server))
        _, self.clients = start(pinned(1, partial(run_clients, pipe.recv(), idle)))

    def round(self, active: int, nanoseconds: int) -> Sample:
        before = cpu_time(self.server_pid)
        self.clients.send((active, nanoseconds))
        stats: RoundStats = self.clients.recv()
        cpu = cpu_time(self.server_pid) - before
        return Sample(
            stats.messages * 1e9 / stats.duration,
            cpu / stats.messages,
            stats.median,
            stats.percentile_99,
        )


def cpu_time(pid: int) -> int:
    """Nanoseconds of user and system time of the process so far."""
    nanoseconds, *_ = Path(f"/proc/{pid}/schedstat").read_text().split()
    return int(nanoseconds)


def pinned(index: int, main: Main) -> Main:
    """Runs on the index-th of the CPUs that this process may use; without as many, on any. The
    scheduler would put server and clients on one CPU in some rounds and not in others, above all if
    one client is active, and that takes a third of the processor time.
    """
    allowed = sorted(os.sched_getaffinity(0))

    def run(pipe: Connection) -> None:
        if index < len(allowed):
            os.sched_setaffinity(0, {allowed[index]})
        main(pipe)

    return run


def echo(run: Run) -> list[Chart]:
    """A single-threaded TCP server echoes what it receives. A hundred active clients (in further
    charts ten, and one) send 32 bytes and wait for the reply, again and again; more clients are
    idle. Messages per second; the CPU time of the server per message, the figure that other
    programs on the machine disturb least; the median and the 99th percentile of the round trips of
    each round. Each server and its clients are two processes, each with a CPU of its own. The
    servers of all subjects run during the whole measurement, and their clients take turns. The
    servers without an event loop are loops of a few lines. gevent may serve some clients many times
    before it serves the others; its median is low then.
    """
    charts = {
        active: (
            new_charts("python-echo", "Python: echo server on an event loop", active),
            new_charts("python-echo-bare", "Python: echo server without an event loop", active),
        )
        for active in (100, 10, 1)
    }
    mains = {**{subject: ON_LOOPS[subject] for subject in installed(ON_LOOPS)}, **BARE}
    rounds = 3 if run.quick else 11
    for idle in run.sizes(0, 100, 1000, 9000):
        with processes() as start:
            servers = {
                subject: ServerAndClients(start, main, idle) for subject, main in mains.items()
            }
            for active in run.over(f"{idle:,} idle clients, active", (1, 10, 100)):
                duration = 100_000_000 if run.quick or active < 100 else 200_000_000
                for server in servers.values():
                    server.round(active, duration)  # connects, and pollset settles on an engine
                samples: dict[Subject, list[Sample]] = {subject: [] for subject in servers}
                for subject in run.turns(servers, rounds):
                    samples[subject].append(servers[subject].round(active, duration))
                on_loops, bare = charts[active]
                for subject, subject_samples in samples.items():
                    for field, chart in (bare if subject in BARE else on_loops).items():
                        values = [float(getattr(sample, field)) for sample in subject_samples]
                        chart.add(idle, {subject: values})
    return [chart for pair in charts.values() for group in pair for chart in group.values()]


def new_charts(name: str, title: str, active: int) -> dict[str, Chart]:
    """By field of a Sample. For fewer than 100 active clients only the two steadiest."""
    x = "idle connections"
    if active < 100:
        name = f"{name}-{active}"
        title = f"{title}, {active} active"
    charts = {
        "messages_per_second": Chart(name, f"{title}: messages", x, "messages", "per-second"),
        "cpu_time": Chart(f"{name}-processor", f"{title}: CPU time of the server", x, "message"),
        "median": Chart(f"{name}-median", f"{title}: median round trip", x, "round trip"),
        "percentile_99": Chart(
            f"{name}-99", f"{title}: 99th percentile round trip", x, "round trip"
        ),
    }
    if active < 100:
        del charts["messages_per_second"], charts["percentile_99"]
    return charts
