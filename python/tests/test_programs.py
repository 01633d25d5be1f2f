"""Random programs on ours and on select.poll side by side, over real descriptors."""

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
# Chooses one of the descriptors that there are, and how many that follow it.
some = st.just(0) | st.integers(0, 5000)
few = st.integers(1, 100)
many = st.just(5000) | st.integers(1, 5000)
# Around those at which an object may begin to work in another way.
sizes = st.sampled_from([0, 1, 7, 8, 9, 16, 63, 64, 65, 256, 1000, 1100, 2500])


class Programs(RuleBasedStateMachine):
    """Every call is answered alike, and so is poll(0) after each step."""

    engine = "auto"

    def __init__(self):
        super().__init__()
        self.theirs = select.poll()
        self.ours = pollset.poll(engine=self.engine)
        self.descriptors = Descriptors()
        self.fds = [NOT_OPEN, NOT_OPEN - 1]
        # A number was closed without being unregistered: on epoll that is found a little later.
        self.finds_it_later = False

    def teardown(self):
        self.descriptors.close_all()

    def both(self, method, *arguments):
        expected = outcome(getattr(self.theirs, method), *arguments)
        assert outcome(getattr(self.ours, method), *arguments) == expected

    @invariant()
    def ask(self):
        if self.finds_it_later:
            until(lambda: self.ours.poll(0) == self.theirs.poll(0), seconds=5)
        else:
            self.both("poll", 0)

    def some_of(self, which, count):
        first = which % len(self.fds)
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

    @rule(which=some, count=few, mask=masks)
    def register(self, which, count, mask):
        for fd in self.some_of(which, count):
            self.both("register", fd, mask)

    @rule(which=some, count=few, mask=masks)
    def modify(self, which, count, mask):
        for fd in self.some_of(which, count):
            self.both("modify", fd, mask)

    @rule(which=some, count=many)
    def unregister(self, which, count):
        for fd in self.some_of(which, count):
            self.both("unregister", fd)
            self.forget_if_closed(fd)

    @rule(which=some, count=many)
    def write(self, which, count):
        for fd in self.some_of(which, count):
            with suppress(OSError):
                os.write(fd, b"x")

    @rule(which=some)
    def fill(self, which):
        with suppress(OSError):
            for fd in self.some_of(which, 1):
                while os.write(fd, bytes(4096)):
                    pass

    @rule(which=some, count=many)
    def drain(self, which, count):
        for fd in self.some_of(which, count):
            with suppress(OSError):
                while os.read(fd, 65536):
                    pass

    @rule(which=some, count=few)
    def unregister_and_close(self, which, count):
        for fd in self.some_of(which, count):
            self.both("unregister", fd)
            self.close(fd)

    @rule(which=some)
    def close_without_unregistering(self, which):
        for fd in self.some_of(which, 1):
            self.finds_it_later |= fd in self.ours and self.engine != "poll"
            self.close(fd)

    def close(self, fd):
        if fd in self.descriptors.open:
            self.descriptors.close(fd)
            self.forget_if_closed(fd)

    def forget_if_closed(self, fd):
        """Or else the number might be taken by anything, and registered again."""
        if fd not in self.descriptors.open and fd not in self.ours and fd < NOT_OPEN - 1:
            self.fds.remove(fd)

    @rule(which=some, kind=kinds, mask=masks)
    def use_a_number_again(self, which, kind, mask):
        for fd in self.some_of(which, 1):
            if fd in self.descriptors.open:
                self.both("unregister", fd)
                first, *others = self.open(kind)
                self.descriptors.renumbered(first, fd)
                self.add(*others)
                self.both("register", fd, mask)

    @rule(times=many)
    def ask_often(self, times):
        for _ in range(times // 20):
            self.ask()


class ProgramsOnPoll(Programs):
    engine = "poll"


class ProgramsOnEpoll(Programs):
    engine = "epoll"


TestPrograms = Programs.TestCase
TestProgramsOnPoll = ProgramsOnPoll.TestCase
TestProgramsOnEpoll = ProgramsOnEpoll.TestCase
