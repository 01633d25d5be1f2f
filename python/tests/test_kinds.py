"""What the kernel says about many kinds of files, and how it changes, is what is answered."""

import errno
import os
import select
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from conftest import OURS
from kinds import PROGRAMS, Missing, Register, Things, libc
from support import Descriptors, Raised, in_child, open_descriptors, outcome

# Errors that say that a machine, or this user, can't make such a file.
NOT_HERE = {
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


def instances():
    """How many epoll instances this process has."""
    links = [outcome(os.readlink, f"/proc/self/fd/{fd}") for fd in open_descriptors()]
    return links.count("anon_inode:[eventpoll]")


class Few:
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
        """Asks until epoll is the cheaper one for as many as there are."""
        for _ in range(1000):
            self.poller.poll(0)


class Many(Few):
    """It is registered with a set that has moved to epoll."""

    idle = 100

    def __init__(self, poller, descriptors):
        before = instances()
        super().__init__(poller, descriptors)
        self.move()
        self.moved = instances() > before


class Before(Few):
    """It is registered before the set moves."""

    idle = 100

    def register(self, fd, mask):
        super().register(fd, mask)
        self.move()
        return fd


class Reused(Many):
    """It gets the number of a pipe that is registered, which is so closed."""

    def __init__(self, poller, descriptors):
        self.number, _ = descriptors.pipe()
        poller.register(self.number, select.POLLIN)
        super().__init__(poller, descriptors)

    def register(self, fd, mask):
        self.poller.modify(self.number, mask)
        self.poller.poll(0)
        os.dup2(fd, self.number, inheritable=False)
        # On epoll that is found within a bound.
        deadline = time.monotonic() + (0.2 if self.moved else 0)
        while time.monotonic() < deadline:
            self.poller.poll(1)
        return self.number


WAYS = [Few, Many, Before, Reused]


def run(make, way, program):
    """Why it can't be done here, or None if it went well."""
    if program.unshare:
        try:
            libc("unshare", program.unshare)
        except OSError as error:
            return str(error)
    descriptors = Descriptors()
    with Things() as things:
        things.callback(descriptors.close_all)
        try:
            steps = things.enter_context(closing(program.steps(things)))
        except Missing as missing:
            return str(missing)
        poller = make()
        place = way(poller, descriptors)
        number = None
        while True:
            try:
                step = next(steps)
            except StopIteration:
                return None
            except Missing as missing:
                return str(missing)
            except OSError as error:
                if error.errno in NOT_HERE:
                    return str(error)
                raise
            if isinstance(step, Register):
                for fd in step.beside:
                    poller.register(fd, select.POLLIN)
                number = place.register(step.fd, step.mask)
                continue
            if step.elsewhere:
                with ThreadPoolExecutor(1) as thread:
                    answer = thread.submit(poller.poll, step.timeout).result(20)
            else:
                answer = poller.poll(step.timeout)
            assert dict(answer).get(number, 0) == step.events, step


CASES = [
    pytest.param(way, program, id=f"{program}-{way.__name__.lower()}")
    for program in PROGRAMS
    for way in WAYS
    if not (program.once and way in [Before, Reused])
]


def test_a_large_set_moves_to_epoll_unless_that_is_forbidden(ours, descriptors):
    assert Many(ours(), descriptors).moved == (ours is not OURS["pollset-poll"])


@pytest.mark.parametrize("way, program", CASES)
def test_what_poll_2_says(poll, way, program):
    reason = in_child(run, poll, way, program) if program.unshare else run(poll, way, program)
    if isinstance(reason, Raised):
        pytest.fail(f"{reason.type.__name__}: {reason.text}")
    if reason:
        pytest.skip(reason)
