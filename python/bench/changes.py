"""Waits between which the set changes."""

from __future__ import annotations

import os
import select
import selectors
from collections.abc import Callable
from functools import partial
from typing import Any

import pollset
from contestants import EPOLL, OURS, POLL, SELECT, SELECTORS, Call, Watcher, watching
from descriptors import first, first_but_one, none, socket_pair, sockets
from idle_thread import also_beside_idle_thread
from measure import Run
from report import Chart, Contestant


@also_beside_idle_thread
def churn(run: Run) -> list[Chart]:
    """Beside idle sockets, a connection is made (a socket pair), registered, written to, waited for
    without a timeout, read, unregistered and closed. Processor time for all of that.
    """
    title = "Python: a connection comes, is served once and goes"
    chart = Chart("python-churn", title, "idle connections", "a connection")
    for idle in run.over("beside idle ones", run.sizes(0, 100, 1000, 5000)):
        with sockets(idle, none) as numbers, watching(numbers) as watchers:
            calls = {who: partial(serve_one, its) for who, its in watchers.items()}
            chart.add(idle, run.in_turn(calls))
    return [chart]


def serve_one(watcher: Watcher) -> None:
    connection, client = socket_pair()
    watcher.register(connection)
    os.write(client, b"!")
    for fd in watcher.ready():
        os.read(fd, 1)
    watcher.unregister(connection)
    os.close(connection)
    os.close(client)


@also_beside_idle_thread
def transient(run: Run) -> list[Chart]:
    """A new object, n sockets registered, asked once with timeout 0, dropped. The first is ready.
    Processor time for all of that. select.select has no object, and is only asked.
    """
    title = "Python: a new object, asked once and dropped"
    chart = Chart("python-transient", title, "descriptors watched", "an object")
    for size in run.over("asked about", [1, 2, 3, 8]):
        with sockets(size, first) as numbers:
            calls: dict[Contestant, Call] = {
                SELECT: partial(select.select, numbers, (), (), 0),
                POLL: partial(ask_once, select.poll, numbers),
                EPOLL: partial(ask_once, select.epoll, numbers),
                SELECTORS: partial(select_once, numbers),
                OURS: partial(ask_once, pollset.poll, numbers),
            }
            chart.add(size, run.in_turn(calls))
    return [chart]


def ask_once(make: Callable[[], Any], numbers: list[int]) -> None:
    each = make()
    for number in numbers:
        each.register(number, 1)
    each.poll(0)


def select_once(numbers: list[int]) -> None:
    with selectors.DefaultSelector() as selector:
        for number in numbers:
            selector.register(number, selectors.EVENT_READ)
        selector.select(0)


@also_beside_idle_thread
def modify(run: Run) -> list[Chart]:
    """One of n sockets is watched for output, too, and again for input alone, by modify() before
    each wait, as a server does that has something to send. It has room, so every second wait
    answers with it; another one has something to read all the time. Processor time for a change
    and a wait.
    """
    title = "Python: one of n is modified before each wait"
    chart = Chart("python-modify", title, "descriptors watched", "a change and a wait")
    for size in run.over("one of", run.sizes(3, 64, 1000, 9000)):
        with sockets(size, first_but_one) as numbers, watching(numbers) as watchers:
            calls = {
                who: partial(wait_twice, *its.modifications(numbers[0]), its.call(None))
                for who, its in watchers.items()
            }
            chart.add(size, run.in_turn(calls, things=2))
    return [chart]


def wait_twice(to_write: Call, to_read: Call, wait: Call) -> None:
    to_write()
    wait()
    to_read()
    wait()
