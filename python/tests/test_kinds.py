"""Many kinds of files: the events, and their changes, are those that poll(2) reports."""

import errno
import os
import select
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from conftest import POLLSET
from kinds import PROGRAMS, Register, Resources, Unsupported, libc
from support import Descriptors, Raised, in_child, open_descriptors, outcome

# Errors if this machine or user can't make such a file.
UNSUPPORTED_ERRNOS = {
    errno.EPERM,
    errno.EACCES,
    errno.ENOENT,
    errno.ENODEV,
    errno.ENXIO,
    errno.ENOSYS,
    errno.EROFS,
    errno.EINVAL,
    errno.ENOPROTOOPT,
    errno.EPROTONOSUPPORT,
    errno.EAFNOSUPPORT,
    errno.EOPNOTSUPP,
}


def epoll_instances():
    """The number of epoll instances of this process."""
    links = [outcome(os.readlink, f"/proc/self/fd/{fd}") for fd in open_descriptors()]
    return links.count("anon_inode:[eventpoll]")


class SmallSet:
    """The file is one of three."""

    idle = 2

    def __init__(self, poller, descriptors):
        self.poller = poller
        for _ in range(self.idle):
            poller.register(descriptors.pipe()[0], select.POLLIN)
        poller.poll(0)

    def register(self, fd, mask):
        self.poller.register(fd, mask)
        return fd

    def move(self):
        """Polls until epoll is cheaper for a set of this size."""
        for _ in range(1000):
            self.poller.poll(0)


class EpollSet(SmallSet):
    """The file is registered after the set has moved to epoll."""

    idle = 100

    def __init__(self, poller, descriptors):
        before = epoll_instances()
        super().__init__(poller, descriptors)
        self.move()
        self.moved = epoll_instances() > before


class MovingSet(SmallSet):
    """The file is registered before the set moves to epoll."""

    idle = 100

    def register(self, fd, mask):
        super().register(fd, mask)
        self.move()
        return fd


class ReusedNumber(EpollSet):
    """The file replaces a registered pipe under its number, which closes the pipe."""

    def __init__(self, poller, descriptors):
        self.number, _ = descriptors.pipe()
        poller.register(self.number, select.POLLIN)
        super().__init__(poller, descriptors)

    def register(self, fd, mask):
        self.poller.modify(self.number, mask)
        self.poller.poll(0)
        os.dup2(fd, self.number, inheritable=False)
        # On epoll, the replacement is detected within a bound.
        deadline = time.monotonic() + (0.2 if self.moved else 0)
        while time.monotonic() < deadline:
            self.poller.poll(1)
        return self.number


SETS = [SmallSet, EpollSet, MovingSet, ReusedNumber]


def run(make, make_set, program):
    """Runs a program. Returns None, or the reason why this machine can't run it."""
    if program.unshare:
        try:
            libc("unshare", program.unshare)
        except OSError as error:
            return str(error)
    descriptors = Descriptors()
    with Resources() as resources:
        resources.callback(descriptors.close_all)
        try:
            steps = resources.enter_context(closing(program.steps(resources)))
        except Unsupported as unsupported:
            return str(unsupported)
        poller = make()
        file_set = make_set(poller, descriptors)
        number = None
        while True:
            try:
                step = next(steps)
            except StopIteration:
                return None
            except Unsupported as unsupported:
                return str(unsupported)
            except OSError as error:
                if error.errno in UNSUPPORTED_ERRNOS:
                    return str(error)
                raise
            if isinstance(step, Register):
                for fd in step.others:
                    poller.register(fd, select.POLLIN)
                number = file_set.register(step.fd, step.mask)
                continue
            if step.in_thread:
                with ThreadPoolExecutor(1) as thread:
                    result = thread.submit(poller.poll, step.timeout).result(20)
            else:
                result = poller.poll(step.timeout)
            assert dict(result).get(number, 0) == step.events, step


CASES = [
    pytest.param(make_set, program, id=f"{program}-{make_set.__name__}")
    for program in PROGRAMS
    for make_set in SETS
    if not (program.once and make_set in [MovingSet, ReusedNumber])
]


def test_a_large_set_moves_to_epoll_except_with_engine_poll(pollset_poll, descriptors):
    moves = pollset_poll is not POLLSET["pollset-poll"]
    assert EpollSet(pollset_poll(), descriptors).moved == moves


@pytest.mark.parametrize("make_set, program", CASES)
def test_events_are_those_of_poll_2(poll, make_set, program):
    arguments = poll, make_set, program
    reason = in_child(run, *arguments) if program.unshare else run(*arguments)
    if isinstance(reason, Raised):
        pytest.fail(f"{reason.type.__name__}: {reason.text}")
    if reason:
        pytest.skip(reason)
