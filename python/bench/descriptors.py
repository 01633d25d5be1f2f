"""Open descriptors to watch, some of which are readable and stay so."""

from __future__ import annotations

import fcntl
import os
import resource
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# From the index of a descriptor.
IsReady = Callable[[int], bool]


def raise_limit() -> None:
    """Raises the limit of open descriptors as far as this process may."""
    _, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (maximum, maximum))


def none(index: int) -> bool:
    return False


def every(index: int) -> bool:
    return True


def first(index: int) -> bool:
    return index == 0


def second(index: int) -> bool:
    return index == 1


def middle(size: int) -> IsReady:
    return lambda index: index == size // 2


def share(size: int, ready: int) -> IsReady:
    """`ready` of `size`, evenly spread."""
    return lambda index: index * ready // size != (index + 1) * ready // size


@contextmanager
def sockets(size: int, is_ready: IsReady) -> Iterator[list[int]]:
    """The near ends of socket pairs."""
    with pairs(size, socket_pair) as (near, far):
        for index, fd in enumerate(far):
            if is_ready(index):
                os.write(fd, b"!")
        yield near


@contextmanager
def pairs(size: int, make: Callable[[], tuple[int, int]]) -> Iterator[tuple[list[int], list[int]]]:
    """The near and the far ends. The near ends have low numbers, for select.select."""
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
def eventfds(size: int, is_ready: IsReady) -> Iterator[list[int]]:
    """One descriptor each. Before Python 3.10, duplicates of the ends of two pipes."""
    pipes: tuple[int, ...] = ()
    if sys.version_info >= (3, 10):
        fds = [os.eventfd(is_ready(index)) for index in range(size)]
    else:
        silent, _, readable, writer = pipes = (*os.pipe(), *os.pipe())
        os.write(writer, b"!")
        fds = [os.dup(readable if is_ready(index) else silent) for index in range(size)]
    try:
        yield fds
    finally:
        for fd in (*fds, *pipes):
            os.close(fd)
