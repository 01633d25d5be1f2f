"""Random programs on pollset.poll and on select.poll, with real descriptors."""

import os
import select
from contextlib import suppress
from select import POLLIN, POLLOUT, POLLPRI

import pollset
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from support import NOT_OPEN, Descriptors, outcome, until

masks = st.sampled_from([0, POLLIN, POLLOUT, POLLIN | POLLPRI | POLLOUT]) | st.integers(0, 0xFFFF)
kinds = st.sampled_from(["pipe", "sockets", "file", "device"])
# The index of a descriptor, and the number of descriptors from there on.
some = st.just(0) | st.integers(0, 5000)
few = st.integers(1, 100)
many = st.just(5000) | st.integers(1, 5000)
# Around the sizes at which an object may change its algorithm.
sizes = st.sampled_from([0, 1, 7, 8, 9, 16, 63, 64, 65, 256, 1000, 1100, 2500])


class Programs(RuleBasedStateMachine):
    """Every call has the same outcome on both, and so has poll(0) after each step."""

    engine = "auto"

    def __init__(self):
        super().__init__()
        self.standard = select.poll()
        self.tested = pollset.poll(engine=self.engine)
        self.descriptors = Descriptors()
        self.fds = [NOT_OPEN, NOT_OPEN - 1]
        # A number was closed without being unregistered. On epoll, that is detected later.
        self.detects_close_later = False

    def teardown(self):
        self.descriptors.close_all()

    def both(self, method, *arguments):
        expected = outcome(getattr(self.standard, method), *arguments)
        assert outcome(getattr(self.tested, method), *arguments) == expected

    @invariant()
    def poll(self):
        if self.detects_close_later:
            until(lambda: self.tested.poll(0) == self.standard.poll(0), seconds=5)
        else:
            self.both("poll", 0)

    def some_of(self, first, count):
        first %= len(self.fds)
        return self.fds[first : first + count]

    def open(self, kind):
        if kind == "file":
            return (self.descriptors.path(__file__),)
        if kind == "device":
            return (self.descriptors.path(os.devnull),)
        ends = self.descriptors.pipe() if kind == "pipe" else self.descriptors.sockets()
        for end in ends:
            os.set_blocking(end, False)
        return ends

    def add(self, *fds):
        self.fds += [fd for fd in fds if fd not in self.fds]

    @initialize(count=sizes, mask=masks, backwards=st.booleans())
    def begin_with_many(self, count, mask, backwards):
        while len(self.fds) < count:
            self.fds += self.open("pipe")
        if backwards:
            self.fds.reverse()
        self.register(0, count, mask)

    @rule(kind=kinds, mask=masks)
    def open_and_register(self, kind, mask):
        for fd in self.open(kind):
            self.add(fd)
            self.both("register", fd, mask)

    @rule(first=some, count=few, mask=masks)
    def register(self, first, count, mask):
        for fd in self.some_of(first, count):
            self.both("register", fd, mask)

    @rule(first=some, count=few, mask=masks)
    def modify(self, first, count, mask):
        for fd in self.some_of(first, count):
            self.both("modify", fd, mask)

    @rule(first=some, count=many)
    def unregister(self, first, count):
        for fd in self.some_of(first, count):
            self.both("unregister", fd)
            self.forget_if_closed(fd)

    @rule(first=some, count=many)
    def write(self, first, count):
        for fd in self.some_of(first, count):
            with suppress(OSError):
                os.write(fd, b"x")

    @rule(first=some)
    def fill(self, first):
        with suppress(OSError):
            for fd in self.some_of(first, 1):
                while os.write(fd, bytes(4096)):
                    pass

    @rule(first=some, count=many)
    def drain(self, first, count):
        for fd in self.some_of(first, count):
            with suppress(OSError):
                while os.read(fd, 65536):
                    pass

    @rule(first=some, count=few)
    def unregister_and_close(self, first, count):
        for fd in self.some_of(first, count):
            self.both("unregister", fd)
            self.close(fd)

    @rule(first=some)
    def close_without_unregistering(self, first):
        for fd in self.some_of(first, 1):
            self.detects_close_later |= fd in self.tested and self.engine != "poll"
            self.close(fd)

    def close(self, fd):
        if fd in self.descriptors.open:
            self.descriptors.close(fd)
            self.forget_if_closed(fd)

    def forget_if_closed(self, fd):
        """Otherwise another open file might take the number, and be registered."""
        if fd not in self.descriptors.open and fd not in self.tested and fd < NOT_OPEN - 1:
            self.fds.remove(fd)

    @rule(first=some, kind=kinds, mask=masks)
    def reuse_a_number(self, first, kind, mask):
        for fd in self.some_of(first, 1):
            if fd in self.descriptors.open:
                self.both("unregister", fd)
                new, *others = self.open(kind)
                self.descriptors.renumbered(new, fd)
                self.add(*others)
                self.both("register", fd, mask)

    @rule(times=many)
    def poll_often(self, times):
        for _ in range(times // 20):
            self.poll()


class ProgramsOnPoll(Programs):
    engine = "poll"


class ProgramsOnEpoll(Programs):
    engine = "epoll"


TestPrograms = Programs.TestCase
TestProgramsOnPoll = ProgramsOnPoll.TestCase
TestProgramsOnEpoll = ProgramsOnEpoll.TestCase
