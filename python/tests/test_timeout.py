"""What poll() takes as a timeout, and how long it waits.

What it refuses is among the odd arguments.
"""

import os
import select
import sys
from select import POLLIN, POLLOUT

import pytest
from support import CONCURRENT, Index, Raised, later, outcome, seconds_of, waiting

# By every Python.
REFUSED = ["0", 10**30, float("nan")]


class Milliseconds(int):
    pass


class Unready:
    """An idle pipe on a polling object."""

    def __init__(self, poller, descriptors):
        self.reader, self.writer = descriptors.pipe()
        self.poller = poller
        poller.register(self.reader, POLLIN)

    def wake(self):
        os.write(self.writer, b"x")


@pytest.fixture
def unready(poll, descriptors):
    return Unready(poll(), descriptors)


@pytest.fixture
def ready(poll, descriptors):
    """A polling object with something to report."""
    poller = poll()
    poller.register(descriptors.writable(), POLLOUT)
    return poller


@pytest.mark.parametrize(
    "timeout",
    [
        (),
        (None,),
        (-1,),
        (-1000,),
        (-(2**31),),
        (-1.0,),
        (-0.5,),
        (-1e-9,),
        (-1e-300,),
        (-(2.0**31),),
        (Index(-1),),
        (Milliseconds(-1),),
    ],
    ids=repr,
)
def test_blocks(unready, timeout):
    with later(unready.wake):
        assert unready.poller.poll(*timeout) == [(unready.reader, POLLIN)]


@pytest.mark.parametrize("timeout", [0, 0.0, -0.0, False, Index(0), Milliseconds(0)], ids=repr)
def test_does_not_block(unready, timeout):
    assert unready.poller.poll(timeout) == []


@pytest.mark.parametrize(
    "timeout", [1, True, 1.0, 1e-300, 2**31 - 1, 2.0**31 - 1, Index(2**31 - 1), Milliseconds(9)]
)
def test_what_is_ready_is_told_at_once(ready, timeout):
    seconds, answer = seconds_of(ready.poll, timeout)
    assert len(answer) == 1
    assert seconds < 60


def test_a_subclass_of_float(unready):
    class Seconds(float):
        pass

    assert unready.poller.poll(Seconds(0)) == []


def test_the_argument_is_not_kept(unready):
    timeout = 10.25 / 4
    before = sys.getrefcount(timeout)
    unready.poller.poll(timeout)
    assert sys.getrefcount(timeout) == before


# How long.


@pytest.mark.parametrize("milliseconds", [0.001, 0.25, 1, 1.5, 2, 10.9, 30, 30.5, 100])
def test_never_early(unready, milliseconds):
    for _ in range(5):
        seconds, answer = seconds_of(unready.poller.poll, milliseconds)
        assert answer == []
        assert seconds * 1000 >= milliseconds


def test_an_empty_set_sleeps(poll):
    seconds, answer = seconds_of(poll().poll, 50)
    assert answer == []
    assert seconds >= 0.05


def test_a_set_with_masks_of_zero_sleeps(poll, descriptors):
    poller = poll()
    poller.register(descriptors.readable(), 0)
    seconds, answer = seconds_of(poller.poll, 50)
    assert answer == []
    assert seconds >= 0.05


@pytest.mark.parametrize("milliseconds", [1, 5, 25])
def test_not_much_later_in_the_best_of_many(unready, milliseconds):
    best = min(seconds_of(unready.poller.poll, milliseconds)[0] for _ in range(20))
    assert best * 1000 < milliseconds + 10


def test_a_probe_does_not_wait_in_the_best_of_many(unready):
    assert min(seconds_of(unready.poller.poll, 0)[0] for _ in range(100)) < 0.001


def test_an_event_ends_the_wait(unready):
    with later(unready.wake):
        seconds, answer = seconds_of(unready.poller.poll, 30_000)
    assert answer == [(unready.reader, POLLIN)]
    assert seconds < 20


# The order: convert, check the range, check for another wait, wait.


def test_what_the_conversion_registers_counts(poll, descriptors):
    fd = descriptors.writable()
    poller = poll()

    class Registers:
        def __index__(self):
            poller.register(fd, POLLOUT)
            return 0

    assert poller.poll(Registers()) == [(fd, POLLOUT)]


def test_what_the_conversion_unregisters_counts(poll, descriptors):
    fd = descriptors.writable()
    poller = poll()
    poller.register(fd, POLLOUT)

    class Unregisters:
        def __index__(self):
            poller.unregister(fd)
            return 0

    assert poller.poll(Unregisters()) == []


def test_the_conversion_may_poll(ready):
    class Polls:
        def __index__(self):
            assert len(ready.poll(0)) == 1
            return 0

    assert len(ready.poll(Polls())) == 1


@pytest.mark.parametrize("timeout", REFUSED, ids=repr)
def test_a_bad_timeout_is_found_before_the_concurrent_wait(unready, timeout):
    error = outcome(select.poll().poll, timeout)
    assert isinstance(error, Raised)
    with waiting(unready.poller) as answer:
        assert outcome(unready.poller.poll, timeout) == error
        assert outcome(unready.poller.poll, 0) == CONCURRENT
        unready.wake()
    assert answer.result() == [(unready.reader, POLLIN)]
