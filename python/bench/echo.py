"""What an event loop gains: an echo server with 100 clients that talk and more that are idle.

python python/bench/echo.py [--clients N...] [--rounds N] [asyncio | twisted]

Each server and its clients are two processes of their own. All servers are there at the same time,
and are talked to in turns. Prints a table of medians. The last column compares what the servers
take of the processor, which other programs on the machine disturb the least. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import multiprocessing
import operator
import os
import platform
import resource
import select
import selectors
import socket
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import pollset

TALKERS = 100
MESSAGE = b"a message of thirty-two bytes...\n"
ROUND = 0.5  # seconds
BACKLOG = 4096

Server = Callable[[Connection], None]


class Round(NamedTuple):
    """What the talkers see. Times are in seconds."""

    messages: int
    duration: float
    median: float  # of the round trips
    percentile_99: float


class Echo(asyncio.BufferedProtocol):
    """Has a buffer of its own: the one of 256 KiB that asyncio otherwise makes for each message
    costs several times as much as all the rest, or nothing, as the memory allocator is disposed.
    """

    transport: asyncio.Transport
    buffer = bytearray(4096)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, count: int) -> None:
        self.transport.write(self.buffer[:count])


def serve_asyncio(make_selector: Callable[[], selectors.BaseSelector], pipe: Connection) -> None:
    loop = asyncio.SelectorEventLoop(make_selector())
    starting = loop.create_server(Echo, "127.0.0.1", 0, backlog=BACKLOG)
    server = loop.run_until_complete(starting)
    pipe.send(server.sockets[0].getsockname())
    loop.run_forever()


def serve_twisted(reactor_name: str, installs: bool, pipe: Connection) -> None:
    if installs:
        pollset.install()
    importlib.import_module(f"twisted.internet.{reactor_name}").install()
    protocol = importlib.import_module("twisted.internet.protocol")
    reactor: Any = importlib.import_module("twisted.internet.reactor")

    class TwistedEcho(protocol.Protocol):  # type: ignore[misc, name-defined]
        def dataReceived(self, data: bytes) -> None:
            self.transport.write(data)

    factory = protocol.Factory.forProtocol(TwistedEcho)
    port = reactor.listenTCP(0, factory, BACKLOG, "127.0.0.1")
    pipe.send(("127.0.0.1", port.getHost().port))
    reactor.run()


FRAMEWORKS: dict[str, dict[str, Server]] = {
    "asyncio": {
        "EpollSelector, the default": partial(serve_asyncio, selectors.EpollSelector),
        "PollSelector": partial(serve_asyncio, selectors.PollSelector),
        "pollset.PollSelector": partial(serve_asyncio, pollset.PollSelector),
    },
    "twisted": {
        "epollreactor, the default": partial(serve_twisted, "epollreactor", False),
        "pollreactor": partial(serve_twisted, "pollreactor", False),
        "pollreactor after pollset.install()": partial(serve_twisted, "pollreactor", True),
    },
}


COLUMNS = [
    "messages/s",
    "round trip, ms",
    "99 % of them, ms",
    "processor, µs/message",
    "beside the default",
]


def crowd(address: tuple[str, int], idle: int, pipe: Connection) -> None:
    """The clients: have the talkers talk for as many seconds as the pipe says, again and again."""
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


def talk(talkers: list[socket.socket], seconds: float) -> Round:
    """Each sends its next message when it has the last one back."""
    with select.epoll() as epoll:
        by_number = {talker.fileno(): talker for talker in talkers}
        start = time.perf_counter()
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
                now = time.perf_counter()
                round_trips.append(now - sent_at[number])
                if now - start < seconds:
                    sent_at[number] = now
                    talker.send(MESSAGE)
                else:
                    del sent_at[number]
    round_trips.sort()
    return Round(
        len(round_trips),
        now - start,
        round_trips[len(round_trips) // 2],
        round_trips[len(round_trips) * 99 // 100],
    )


class Contestant:
    """A server and its clients."""

    def __init__(self, server: Server, idle: int) -> None:
        self.pid, pipe = start(server)
        _, self.crowd = start(partial(crowd, pipe.recv(), idle))
        self.crowd.recv()
        self.rounds: list[Round] = []
        self.server_seconds: list[float] = []

    def talk(self) -> None:
        before = processor_time(self.pid)
        self.crowd.send(ROUND)
        self.rounds.append(self.crowd.recv())
        self.server_seconds.append(processor_time(self.pid) - before)

    def costs(self) -> list[float]:
        """Seconds of the processor that the server took for a message, in each round."""
        return [taken / its.messages for taken, its in zip(self.server_seconds, self.rounds)]

    def row(self, default: Contestant) -> list[str]:
        rate = median(each.messages / each.duration for each in self.rounds)
        round_trip = median(each.median for each in self.rounds)
        percentile_99 = median(each.percentile_99 for each in self.rounds)
        cost = median(self.costs())
        ratio = median(map(operator.truediv, self.costs(), default.costs()))
        return [
            f"{rate:,.0f}",
            f"{round_trip * 1e3:.2f}",
            f"{percentile_99 * 1e3:.2f}",
            f"{cost * 1e6:.1f}",
            f"{ratio:.2f}",
        ]


def start(role: Server) -> tuple[int, Connection]:
    pipe, its_pipe = multiprocessing.Pipe()
    process = multiprocessing.Process(target=role, args=[its_pipe], daemon=True)
    process.start()
    its_pipe.close()
    assert process.pid is not None
    return process.pid, pipe


def processor_time(pid: int) -> float:
    nanoseconds, *_ = Path(f"/proc/{pid}/schedstat").read_text().split()
    return int(nanoseconds) / 1e9


def compare(servers: dict[str, Server], idle: int, rounds: int) -> dict[str, Contestant]:
    contestants = {name: Contestant(server, idle) for name, server in servers.items()}
    order = list(contestants.values())
    for _ in range(rounds):
        for contestant in order:
            contestant.talk()
        order.append(order.pop(0))  # nobody is always the first
    for child in multiprocessing.active_children():
        child.terminate()
        child.join()
    return contestants


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("framework", nargs="?", choices=FRAMEWORKS, default="asyncio")
    parser.add_argument(
        "--clients", type=int, nargs="+", default=[0, 1000, 9000], help="how many are idle"
    )
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()

    multiprocessing.set_start_method("fork")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    python = f"{platform.python_implementation()} {platform.python_version()}"
    print(f"{python}, {platform.system()} {platform.release()}, {os.cpu_count()} CPUs")
    if arguments.framework == "twisted":
        print(f"Twisted {importlib.import_module('twisted').__version__}")
    print()
    print(f"| idle | {arguments.framework} on | {' | '.join(COLUMNS)} |")
    print("|---|---|" + "---|" * len(COLUMNS))
    for idle in arguments.clients:
        contestants = compare(FRAMEWORKS[arguments.framework], idle, arguments.rounds)
        default = next(iter(contestants.values()))
        for name, contestant in contestants.items():
            print(f"| {idle:,} | {name} | {' | '.join(contestant.row(default))} |", flush=True)


if __name__ == "__main__":
    main()
