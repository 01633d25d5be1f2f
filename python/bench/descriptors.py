"""Descriptors to watch, of which some are readable, for good."""

from __future__ import annotations

import fcntl
import os
import resource
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

IsReady = Callable[[int], bool]


def allow_many() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def none(member: int) -> bool:
    return False


def every(member: int) -> bool:
    return True


def first(member: int) -> bool:
    return member == 0


def first_but_one(member: int) -> bool:
    return member == 1


def middle(size: int) -> IsReady:
    return lambda member: member == size // 2


def share(size: int, ready: int) -> IsReady:
    """So many of them, evenly spread."""
    return lambda member: member * ready // size != (member + 1) * ready // size


@contextmanager
def sockets(size: int, is_ready: IsReady) -> Iterator[list[int]]:
    """One end of each of so many socket pairs."""
    with pairs(size, socket_pair) as (near, far):
        for member, fd in enumerate(far):
            if is_ready(member):
                os.write(fd, b"!")
        yield near


@contextmanager
def pairs(size: int, make: Callable[[], tuple[int, int]]) -> Iterator[tuple[list[int], list[int]]]:
    """The near and the far ends of so many. The near ones have low numbers, for select.select."""
    near, far = [], []
    try:
        for _ in range(size):
            one, other = make()
            near.append(one)
            far.append(fcntl.fcntl(other, fcntl.F_DUPFD_CLOEXEC, size + 100))
            os.close(other)
        yield near, far
    finally:
        for fd in near + far:
            os.close(fd)


def socket_pair() -> tuple[int, int]:
    one, other = socket.socketpair()
    return one.detach(), other.detach()


@contextmanager
def single(size: int, is_ready: IsReady) -> Iterator[list[int]]:
    """One descriptor each: eventfds, or before Python 3.10 duplicates of the ends of two pipes."""
    pipes: tuple[int, ...] = ()
    if sys.version_info >= (3, 10):
        numbers = [os.eventfd(is_ready(member)) for member in range(size)]
    else:
        silent, _, readable, writer = pipes = (*os.pipe(), *os.pipe())
        os.write(writer, b"!")
        numbers = [os.dup(readable if is_ready(member) else silent) for member in range(size)]
    try:
        yield numbers
    finally:
        for fd in (*numbers, *pipes):
            os.close(fd)
