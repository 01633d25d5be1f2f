"""Nothing is left behind: no memory, no references, no descriptors."""

import gc
import resource
import sys
from select import POLLIN, POLLOUT, POLLWRNORM

from support import NOT_OPEN, HasFileno, alarms, during_a_wait, open_descriptors, outcome


def resident_bytes():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def assert_leaves_nothing(use, rounds=5000):
    """Neither in what Python has allocated, nor in the process."""
    for _ in range(rounds):
        use()
    gc.collect()
    descriptors, resident, blocks = open_descriptors(), resident_bytes(), sys.getallocatedblocks()
    for _ in range(5 * rounds):
        use()
    gc.collect()
    assert sys.getallocatedblocks() - blocks < rounds
    assert resident_bytes() - resident < 2**18 + 16 * rounds
    assert open_descriptors() == descriptors


def test_objects_that_come_and_go(poll, descriptors):
    fd = descriptors.readable()

    def use():
        poller = poll()
        poller.register(fd, POLLIN)
        assert poller.poll(0) == [(fd, POLLIN)]

    assert_leaves_nothing(use)


def test_objects_with_many_descriptors_that_come_and_go(poll, descriptors):
    fds = [descriptors.writable() for _ in range(100)]
    fds += [descriptors.readable() for _ in range(10)]

    def use():
        poller = poll()
        for fd in fds:
            poller.register(fd, POLLIN)
        for _ in range(20):
            assert len(poller.poll(0)) == 10

    assert_leaves_nothing(use, rounds=200)


def test_registrations_that_come_and_go(poll, descriptors):
    fds = [descriptors.writable() for _ in range(20)]
    poller = poll()

    def use():
        for fd in fds:
            poller.register(fd, POLLIN)
        poller.register(HasFileno(fds[0]))
        poller.modify(fds[1], POLLOUT)
        assert len(poller.poll(0)) == 2
        for fd in fds:
            poller.unregister(fd)

    assert_leaves_nothing(use, rounds=1000)


def test_events_that_differ_each_time(poll, descriptors):
    fds = [descriptors.writable() for _ in range(50)]
    poller = poll()
    for fd in fds:
        poller.register(fd, 0)
    masks = [0, POLLOUT, POLLWRNORM, POLLOUT | POLLWRNORM]

    def use():
        masks.append(masks.pop(0))
        for fd in fds:
            poller.modify(fd, masks[0])
        assert poller.poll(0) == [(fd, masks[0]) for fd in fds if masks[0]]

    assert_leaves_nothing(use, rounds=1000)


def test_errors(poll):
    poller = poll()

    def use():
        outcome(poller.register, -1)
        outcome(poller.register, 2**31)
        outcome(poller.register, "1")
        outcome(poller.register, HasFileno(None))
        outcome(poller.register, 1, 2**16)
        outcome(poller.modify, 1, POLLIN)
        outcome(poller.unregister, 1)
        outcome(poller.poll, "1")
        outcome(poller.poll, 2**31)
        outcome(poller.poll, float("nan"))

    assert_leaves_nothing(use, rounds=2000)


def test_waits_that_a_handler_ends(poll, descriptors):
    poller = poll()
    poller.register(descriptors.pipe()[0], POLLIN)

    def raises():
        raise ValueError

    def wait():
        with alarms(during_a_wait(poller, raises), interval=1e-4):
            poller.poll()

    def use():
        assert outcome(wait).type is ValueError

    assert_leaves_nothing(use, rounds=200)


def test_what_ours_have_beside(ours):
    poller = ours()
    for fd in range(20):
        poller.register(fd)

    def use():
        assert len(poller) == len(list(poller))
        assert 5 in poller
        outcome(poller.__contains__, None)

    assert_leaves_nothing(use)


def test_the_result_is_all_that_holds_its_numbers(poll):
    """Numbers that are no constants of the interpreter, so that their references can be counted."""
    poller = poll()
    poller.register(NOT_OPEN)
    poller.poll(0)  # of the first one, nothing is kept
    [(fd, _)] = poller.poll(0)
    held = sys.getrefcount(fd)
    for _ in range(100):
        poller.poll(0)
    assert sys.getrefcount(fd) <= held + 1


def test_an_object_closes_what_it_has_opened(ours, descriptors):
    fds = [descriptors.pipe()[0] for _ in range(50)]
    before = open_descriptors()
    poller = ours()
    for fd in fds:
        poller.register(fd, POLLIN)
    for _ in range(200):
        poller.poll(0)
    del poller
    assert open_descriptors() == before


def test_a_new_object_opens_nothing(poll, descriptors):
    before = open_descriptors()
    poller = poll()
    poller.register(descriptors.readable(), POLLIN)
    assert len(open_descriptors()) == len(before) + 2
