"""Who takes part: each of the interpreter's ways to wait, and ours, each in its best usage."""

from __future__ import annotations

import select
import selectors
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Optional, Protocol

import pollset
from report import Contestant

Call = Callable[[], object]
# None: as long as it takes. 0: ask, and don't wait. So the unit, which differs, doesn't matter.
Timeout = Optional[int]

SELECT = Contestant("select.select", "bare")
POLL = Contestant("select.poll", "bare")
EPOLL = Contestant("select.epoll", "bare")
SELECTORS = Contestant("selectors", "peer")
OURS = Contestant("pollset", "ours")
OURS_ON_POLL = Contestant("pollset, poll forced", "ours-forced")
OURS_ON_EPOLL = Contestant("pollset, epoll forced", "ours-forced")

# select.select takes only numbers below this.
FD_SETSIZE = 1024


class Watcher(Protocol):
    def register(self, fd: int) -> None:
        """For reading."""

    def unregister(self, fd: int) -> None:
        """The one that was registered last."""

    def modifications(self, fd: int) -> tuple[Call, Call]:
        """The bare calls that watch it for reading and writing, and for reading alone again."""

    def call(self, timeout: Timeout) -> Call:
        """The bare call that waits."""

    def ready(self) -> Iterable[int]:
        """Wait, as long as it takes."""

    def close(self) -> None: ...


class Select:
    def __init__(self) -> None:
        self.readers: list[int] = []
        self.writers: list[int] = []

    def register(self, fd: int) -> None:
        self.readers.append(fd)

    def unregister(self, fd: int) -> None:
        self.readers.pop()

    def modifications(self, fd: int) -> tuple[Call, Call]:
        return partial(self.writers.append, fd), self.writers.clear

    def call(self, timeout: Timeout) -> Call:
        return partial(select.select, self.readers, self.writers, (), timeout)

    def ready(self) -> Iterable[int]:
        return select.select(self.readers, (), ())[0]

    def close(self) -> None:
        pass


class Poll:
    """select.poll, and what has its methods."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.object = make()

    def register(self, fd: int) -> None:
        self.object.register(fd, select.POLLIN)

    def unregister(self, fd: int) -> None:
        self.object.unregister(fd)

    def modifications(self, fd: int) -> tuple[Call, Call]:
        modify = self.object.modify
        both = select.POLLIN | select.POLLOUT
        return partial(modify, fd, both), partial(modify, fd, select.POLLIN)

    def call(self, timeout: Timeout) -> Call:
        return partial(self.object.poll, timeout)

    def ready(self) -> Iterable[int]:
        return [fd for fd, _ in self.object.poll()]

    def close(self) -> None:
        del self.object


class Epoll:
    """With room for the events of all that are watched."""

    def __init__(self) -> None:
        self.object = select.epoll()
        self.size = 0

    def register(self, fd: int) -> None:
        self.object.register(fd, select.EPOLLIN)
        self.size += 1

    def unregister(self, fd: int) -> None:
        self.object.unregister(fd)
        self.size -= 1

    def modifications(self, fd: int) -> tuple[Call, Call]:
        modify = self.object.modify
        both = select.EPOLLIN | select.EPOLLOUT
        return partial(modify, fd, both), partial(modify, fd, select.EPOLLIN)

    def call(self, timeout: Timeout) -> Call:
        return partial(self.object.poll, timeout, self.size)

    def ready(self) -> Iterable[int]:
        return [fd for fd, _ in self.object.poll(None, self.size)]

    def close(self) -> None:
        self.object.close()


class Selector:
    def __init__(self, make: Callable[[], selectors.BaseSelector]) -> None:
        self.object = make()

    def register(self, fd: int) -> None:
        self.object.register(fd, selectors.EVENT_READ)

    def unregister(self, fd: int) -> None:
        self.object.unregister(fd)

    def modifications(self, fd: int) -> tuple[Call, Call]:
        modify = self.object.modify
        both = selectors.EVENT_READ | selectors.EVENT_WRITE
        return partial(modify, fd, both), partial(modify, fd, selectors.EVENT_READ)

    def call(self, timeout: Timeout) -> Call:
        return partial(self.object.select, timeout)

    def ready(self) -> Iterable[int]:
        return [key.fd for key, _ in self.object.select()]

    def close(self) -> None:
        self.object.close()


MAKERS: dict[Contestant, Callable[[], Watcher]] = {
    SELECT: Select,
    POLL: partial(Poll, select.poll),
    EPOLL: Epoll,
    SELECTORS: partial(Selector, selectors.DefaultSelector),
    OURS: partial(Poll, pollset.poll),
    OURS_ON_POLL: partial(Poll, partial(pollset.poll, engine="poll")),
    OURS_ON_EPOLL: partial(Poll, partial(pollset.poll, engine="epoll")),
}

# What has register(), but not ours with something forced.
OBJECTS: dict[Contestant, Callable[[], Any]] = {
    POLL: select.poll,
    EPOLL: select.epoll,
    SELECTORS: selectors.DefaultSelector,
    OURS: pollset.poll,
}


def fill(make: Callable[[], Any], numbers: Iterable[int]) -> Any:
    each = make()
    for number in numbers:
        each.register(number, 1)  # POLLIN, EPOLLIN and EVENT_READ are all the same
    return each


def ask(each: Any) -> None:
    if isinstance(each, selectors.BaseSelector):
        each.select(0)
    else:
        each.poll(0)


@contextmanager
def watching(
    numbers: list[int], makers: dict[Contestant, Callable[[], Watcher]] = MAKERS
) -> Iterator[dict[Contestant, Watcher]]:
    """Each of them that can watch these numbers, and does."""
    watchers = {
        contestant: make()
        for contestant, make in makers.items()
        if contestant is not SELECT or max(numbers, default=0) < FD_SETSIZE
    }
    try:
        for watcher in watchers.values():
            for fd in numbers:
                watcher.register(fd)
        yield watchers
    finally:
        for watcher in watchers.values():
            watcher.close()
