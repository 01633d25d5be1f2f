"""Memory, references and descriptors don't leak."""

import copy
import gc
import os
import pickle
import resource
import selectors
import sys
from collections import deque
from select import POLLIN, POLLOUT, POLLWRNORM

import pollset
import pytest
from support import (
    CONCURRENT,
    NOT_OPEN,
    HasFileno,
    Index,
    alarms,
    during_a_wait,
    in_child,
    open_descriptors,
    outcome,
    waiting,
)

FACTOR = 40 if os.environ.get("POLLSET_LONG") else 1


def resident_bytes():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def assert_no_leak(use, rounds=5000):
    """Compares Python's allocated blocks, resident memory and descriptors after many calls.

    Resident memory also grows when pages come back that the system had reclaimed, but not again and
    again.
    """
    for _ in range(rounds):
        use()
    gc.collect()
    for _ in range(3):
        descriptors, resident = open_descriptors(), resident_bytes()
        blocks = sys.getallocatedblocks()
        for _ in range(5 * rounds * FACTOR):
            use()
        gc.collect()
        assert sys.getallocatedblocks() - blocks < 100
        growth = resident_bytes() - resident
        assert open_descriptors() == descriptors
        if growth < 2**18:
            break
    assert growth < 2**18


def test_creating_and_dropping_objects(poll, descriptors):
    fd = descriptors.readable()

    def use():
        poller = poll()
        poller.register(fd, POLLIN)
        assert poller.poll(0) == [(fd, POLLIN)]

    assert_no_leak(use)


def test_engines_and_stats(pollset_poll):
    poller = pollset_poll()
    poller.poll(0)

    def use():
        stats = poller.stats()
        assert stats == poller.stats()
        assert hash(stats) == hash(poller.stats())
        assert repr(stats)
        pollset.PollSelector(engine="epoll").close()
        for engine in ("unknown", 1):
            assert "engine" in outcome(pollset.poll, engine=engine).text
            assert "engine" in outcome(pollset.PollSelector, engine=engine).text

    assert_no_leak(use)


def test_creating_and_dropping_large_objects(poll, descriptors):
    fds = [descriptors.writable() for _ in range(100)]
    fds += [descriptors.readable() for _ in range(10)]

    def use():
        poller = poll()
        for fd in fds:
            poller.register(fd, POLLIN)
        for _ in range(20):
            assert len(poller.poll(0)) == 10

    assert_no_leak(use, rounds=200)


def test_registering_and_unregistering(poll, descriptors):
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

    assert_no_leak(use, rounds=1000)


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

    assert_no_leak(use, rounds=1000)


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
        outcome(poller.poll, 2**70)
        outcome(poller.poll, float("nan"))

    assert_no_leak(use, rounds=2000)


def test_exceptions_of_the_caller(poll):
    class Own(Exception):
        pass

    class Raises:
        def fileno(self):
            raise Own(self)

        __index__ = fileno

    poller = poll()

    def use():
        argument = Raises()
        assert outcome(poller.register, argument).type is Own
        assert outcome(poller.modify, argument, 0).type is Own
        assert outcome(poller.unregister, argument).type is Own
        assert outcome(poller.poll, argument).type is Own

    assert_no_leak(use, rounds=2000)


def test_copies_that_are_refused(poll):
    poller = poll()

    def use():
        for refused in (copy.copy, copy.deepcopy, pickle.dumps):
            assert outcome(refused, poller).type is TypeError

    assert_no_leak(use, rounds=1000)


def test_waits_without_an_event(poller):
    def use():
        assert poller.poll(0) == []
        assert poller.poll(0.001) == []

    poller.poll(1)
    assert_no_leak(use, rounds=100)


def test_results_that_are_kept_for_a_while(poll, descriptors):
    poller = poll()
    fds = [descriptors.readable() for _ in range(20)]
    for fd in fds:
        poller.register(fd, POLLIN)
    kept = deque([poller.poll()], maxlen=50)
    while len(kept) < 50:
        kept.append(poller.poll())

    def use():
        kept.append(poller.poll())
        poller.unregister(fds[0])
        poller.register(fds[0], POLLIN)
        fds.append(fds.pop(0))

    assert_no_leak(use)


def test_concurrent_waits_that_are_refused(poller, pipe):
    def use():
        assert outcome(poller.poll, 0) == CONCURRENT
        assert outcome(poller.poll) == CONCURRENT

    with waiting(poller):
        assert_no_leak(use, rounds=1000)
        os.write(pipe[1], b"x")


def test_children(poll, descriptors):
    poller = poll()
    readable = descriptors.readable()
    for fd in [readable, *(descriptors.pipe()[0] for _ in range(20))]:
        poller.register(fd, POLLIN)
    everything = [(readable, POLLIN)]
    for _ in range(2000):  # an automatic object creates its epoll instance
        poller.poll(0)

    def use():
        assert in_child(poller.poll) == poller.poll() == everything

    assert_no_leak(use, rounds=10)


@pytest.mark.parametrize("make", [selectors.PollSelector, pollset.PollSelector])
def test_creating_and_closing_selectors(make, descriptors):
    readable, idle = descriptors.readable(), descriptors.pipe()[0]

    def use():
        selector = make()
        key = selector.register(readable, selectors.EVENT_READ, object())
        selector.register(HasFileno(idle), selectors.EVENT_READ)
        assert selector.select() == selector.select(0) == [(key, selectors.EVENT_READ)]
        selector.modify(readable, selectors.EVENT_WRITE, object())
        assert selector.select(0) == selector.select(1e-6) == []
        assert outcome(selector.register, idle, selectors.EVENT_READ).type is KeyError
        assert outcome(selector.select, "1").type is TypeError
        selector.unregister(idle)
        selector.close()

    assert_no_leak(use, rounds=200)


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

    assert_no_leak(use, rounds=200)


def test_len_in_and_iteration(pollset_poll):
    poller = pollset_poll()
    for fd in range(20):
        poller.register(fd)

    def use():
        assert len(poller) == len(list(poller))
        assert 5 in poller
        outcome(poller.__contains__, None)

    assert_no_leak(use)


def test_references_to_arguments_are_released(poll):
    """Whether the call succeeds or not. No argument is a constant of the interpreter."""
    fd, mask, timeout = int(str(NOT_OPEN)), int("511"), float("0.001")
    error = KeyError("from inside")

    class Raises:
        def fileno(self):
            raise error

        __index__ = fileno

    arguments = [fd, mask, timeout, HasFileno(fd), Raises(), Index(fd), 2**70, "text", (fd,)]
    poller = poll()
    poller.register(NOT_OPEN - 1)  # so that no wait is long

    def use():
        for argument in arguments:
            for mask in arguments:
                outcome(poller.register, argument, mask)
                outcome(poller.modify, argument, mask)
            outcome(poller.poll, argument)
            outcome(poller.unregister, argument)
        error.__traceback__ = None

    def references():
        return [sys.getrefcount(each) for each in (*arguments, error, *map(type, arguments))]

    for _ in range(10):
        use()
    before = references()
    for _ in range(200 * FACTOR):
        use()
    assert references() == before


def test_references_to_cached_numbers_do_not_accumulate(poll):
    """The numbers are no constants of the interpreter, so that their references can be counted."""
    poller = poll()
    poller.register(NOT_OPEN)
    poller.poll(0)  # the first wait caches nothing
    [(fd, _)] = poller.poll(0)
    before = sys.getrefcount(fd)
    for _ in range(100):
        poller.poll(0)
    assert sys.getrefcount(fd) <= before + 1


def test_dropping_an_object_closes_its_descriptors(pollset_poll, descriptors):
    fds = [descriptors.pipe()[0] for _ in range(50)]
    before = open_descriptors()
    poller = pollset_poll()
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
