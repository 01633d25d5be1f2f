"""Waits between changes of the registrations."""

from __future__ import annotations

import os
import select
import selectors
from collections.abc import Callable
from functools import partial
from typing import Any

import pollset
from descriptors import first, none, second, socket_pair, sockets
from idle_thread import also_beside_idle_thread
from measure import Run
from report import Chart, Subject
from subjects import (
    EPOLL,
    POLL,
    POLLSET,
    SELECT,
    SELECTORS,
    Call,
    Watcher,
    watching,
)


@also_beside_idle_thread
def churn(run: Run) -> list[Chart]:
    """Beside idle sockets, a connection (a socket pair) is created, registered, written to, waited
    for without a timeout, read, unregistered and closed. CPU time for all of that.
    """
    title = "Python: a short-lived connection beside n idle ones"
    chart = Chart("python-churn", title, "idle connections", "connection")
    for idle in run.over("idle connections", run.sizes(0, 100, 1000, 5000)):
        with sockets(idle, none) as fds, watching(fds) as watchers:
            calls = {
                subject: partial(serve_connection, watcher) for subject, watcher in watchers.items()
            }
            chart.add(idle, run.in_turn(calls))
    return [chart]


def serve_connection(watcher: Watcher) -> None:
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
    """A new object is created, n sockets are registered, the first of which is ready, the object is
    polled once with timeout 0, and dropped. CPU time for all of that. select.select has no object
    and is only called.
    """
    title = "Python: a new object, polled once and dropped"
    chart = Chart("python-transient", title, "descriptors watched", "object")
    for size in run.over("new object", [1, 2, 3, 8]):
        with sockets(size, first) as fds:
            calls: dict[Subject, Call] = {
                SELECT: partial(select.select, fds, (), (), 0),
                POLL: partial(register_and_poll, select.poll, fds),
                EPOLL: partial(register_and_poll, select.epoll, fds),
                SELECTORS: partial(register_and_select, fds),
                POLLSET: partial(register_and_poll, pollset.poll, fds),
            }
            chart.add(size, run.in_turn(calls))
    return [chart]


def register_and_poll(make: Callable[[], Any], fds: list[int]) -> None:
    new = make()
    for fd in fds:
        new.register(fd, 1)
    new.poll(0)


def register_and_select(fds: list[int]) -> None:
    with selectors.DefaultSelector() as selector:
        for fd in fds:
            selector.register(fd, selectors.EVENT_READ)
        selector.select(0)


@also_beside_idle_thread
def modify(run: Run) -> list[Chart]:
    """As in a server that has something to send, modify() is called before each wait: in turn to
    watch one of n sockets for output, too, and for input alone. The socket is writable, so every
    second wait returns it; another socket is readable all the time. CPU time for a change and a
    wait.
    """
    title = "Python: one of n is modified before each wait"
    chart = Chart("python-modify", title, "descriptors watched", "change and wait")
    for size in run.over("modify", run.sizes(3, 64, 1000, 9000)):
        with sockets(size, second) as fds, watching(fds) as watchers:
            calls = {
                subject: partial(wait_twice, *watcher.modifications(fds[0]), watcher.call(None))
                for subject, watcher in watchers.items()
            }
            chart.add(size, run.in_turn(calls, operations=2))
    return [chart]


def wait_twice(watch_output: Call, watch_input_alone: Call, wait: Call) -> None:
    watch_output()
    wait()
    watch_input_alone()
    wait()
