"""The classes and functions under comparison, each used as its documentation recommends."""

from __future__ import annotations

import select
import selectors
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Optional, Protocol

import pollset
from report import Subject

Call = Callable[[], object]
# None waits without limit, 0 does not wait. The unit, which differs, doesn't matter for these two.
Timeout = Optional[int]

SELECT = Subject("select.select", "bare")
POLL = Subject("select.poll", "bare")
EPOLL = Subject("select.epoll", "bare")
SELECTORS = Subject("selectors", "peer")
POLLSET = Subject("pollset", "ours")
POLLSET_ON_POLL = Subject("pollset, poll forced", "ours-forced")
POLLSET_ON_EPOLL = Subject("pollset, epoll forced", "ours-forced")

# select.select takes only descriptors below this.
FD_SETSIZE = 1024


class Watcher(Protocol):
    """A set of descriptors to wait for."""

    def register(self, fd: int) -> None:
        """Registers the descriptor for reading."""

    def unregister(self, fd: int) -> None:
        """Unregisters the descriptor that was registered last."""

    def modifications(self, fd: int) -> tuple[Call, Call]:
        """The calls that modify the descriptor: for reading and writing, and for reading alone."""

    def call(self, timeout: Timeout) -> Call:
        """The call that waits."""

    def ready(self) -> Iterable[int]:
        """Waits without limit, and returns the ready descriptors."""

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
    """select.poll, or a class with the same methods."""

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
    """select.epoll. A wait has room for the events of all registered descriptors."""

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


WATCHERS: dict[Subject, Callable[[], Watcher]] = {
    SELECT: Select,
    POLL: partial(Poll, select.poll),
    EPOLL: Epoll,
    SELECTORS: partial(Selector, selectors.DefaultSelector),
    POLLSET: partial(Poll, pollset.poll),
    POLLSET_ON_POLL: partial(Poll, partial(pollset.poll, engine="poll")),
    POLLSET_ON_EPOLL: partial(Poll, partial(pollset.poll, engine="epoll")),
}

# The classes with register(); pollset only with its defaults.
OBJECTS: dict[Subject, Callable[[], Any]] = {
    POLL: select.poll,
    EPOLL: select.epoll,
    SELECTORS: selectors.DefaultSelector,
    POLLSET: pollset.poll,
}


def new_registered(make: Callable[[], Any], fds: Iterable[int]) -> Any:
    """A new object with all of the descriptors registered for reading."""
    new = make()
    for fd in fds:
        new.register(fd, 1)  # POLLIN, EPOLLIN and EVENT_READ are all 1
    return new


def poll_once(registered: Any) -> None:
    """Polls with timeout 0."""
    if isinstance(registered, selectors.BaseSelector):
        registered.select(0)
    else:
        registered.poll(0)


@contextmanager
def watching(
    fds: list[int], watchers: dict[Subject, Callable[[], Watcher]] = WATCHERS
) -> Iterator[dict[Subject, Watcher]]:
    """A watcher of each subject that can watch these descriptors, with all of them registered."""
    made = {
        subject: make()
        for subject, make in watchers.items()
        if subject is not SELECT or max(fds, default=0) < FD_SETSIZE
    }
    try:
        for watcher in made.values():
            for fd in fds:
                watcher.register(fd)
        yield made
    finally:
        for watcher in made.values():
            watcher.close()
