"""The timeout argument of poll(), and the duration of its waits.

test_unusual_arguments.py has more timeouts that it refuses.
"""

import os
import select
import sys
from functools import partial
from select import POLLIN, POLLOUT

import pytest
from support import CONCURRENT, Index, Raised, later, outcome, seconds_of, waiting

# Every version of Python refuses these.
REFUSED = ["0", 10**30, float("nan")]


class Milliseconds(int):
    pass


class Idle:
    """A polling object with an idle pipe."""

    def __init__(self, poller, descriptors):
        self.reader, self.writer = descriptors.pipe()
        self.poller = poller
        poller.register(self.reader, POLLIN)

    def wake(self):
        os.write(self.writer, b"x")


@pytest.fixture
def idle(poll, descriptors):
    return Idle(poll(), descriptors)


@pytest.fixture
def ready(poll, descriptors):
    """A polling object with a ready descriptor."""
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
def test_blocks(idle, timeout):
    with later(idle.wake):
        assert idle.poller.poll(*timeout) == [(idle.reader, POLLIN)]


@pytest.mark.parametrize("timeout", [0, 0.0, -0.0, False, Index(0), Milliseconds(0)], ids=repr)
def test_does_not_block(idle, timeout):
    assert idle.poller.poll(timeout) == []


@pytest.mark.parametrize(
    "timeout", [1, True, 1.0, 1e-300, 2**31 - 1, 2.0**31 - 1, Index(2**31 - 1), Milliseconds(9)]
)
def test_a_ready_descriptor_is_reported_without_waiting(ready, timeout):
    """Some of these timeouts are days."""
    assert len(ready.poll(timeout)) == 1


def test_a_subclass_of_float(idle):
    class Seconds(float):
        pass

    assert idle.poller.poll(Seconds(0)) == []


def test_the_argument_is_not_kept(idle):
    timeout = 10.25 / 4
    before = sys.getrefcount(timeout)
    idle.poller.poll(timeout)
    assert sys.getrefcount(timeout) == before


# The duration of waits.


@pytest.mark.parametrize("milliseconds", [0.001, 0.25, 1, 1.5, 2, 10.9, 30, 30.5, 100])
def test_never_early(idle, milliseconds):
    for _ in range(5):
        seconds, result = seconds_of(idle.poller.poll, milliseconds)
        assert result == []
        assert seconds * 1000 >= milliseconds


def test_an_empty_set_sleeps(poll):
    seconds, result = seconds_of(poll().poll, 50)
    assert result == []
    assert seconds >= 0.05


def test_a_set_with_masks_of_zero_sleeps(poll, descriptors):
    poller = poll()
    poller.register(descriptors.readable(), 0)
    seconds, result = seconds_of(poller.poll, 50)
    assert result == []
    assert seconds >= 0.05


def shortest_waits(fd, *polls_and_timeouts, repeats):
    """For each (function, timeout), the shortest of many waits for an idle descriptor, in seconds.

    The waits alternate, so that other programs slow all of them down alike.
    """
    calls = []
    for poll, timeout in polls_and_timeouts:
        poller = poll()
        poller.register(fd, POLLIN)
        calls.append(partial(poller.poll, timeout))
    return map(min, zip(*([seconds_of(call)[0] for call in calls] for _ in range(repeats))))


@pytest.mark.parametrize("milliseconds", [1, 5, 25])
def test_waits_are_about_as_long_as_those_of_select_poll(pollset_poll, pipe, milliseconds):
    standard, tested = shortest_waits(
        pipe[0], (select.poll, milliseconds), (pollset_poll, milliseconds), repeats=20
    )
    assert tested < 2 * standard


def test_a_zero_timeout_does_not_wait(pollset_poll, pipe):
    millisecond, tested = shortest_waits(pipe[0], (select.poll, 1), (pollset_poll, 0), repeats=100)
    assert tested < millisecond


def test_an_event_ends_the_wait(idle):
    timeout = 30_000
    with later(idle.wake):
        seconds, result = seconds_of(idle.poller.poll, timeout)
    assert result == [(idle.reader, POLLIN)]
    assert seconds * 1000 < timeout


# The order: convert, check the range, check for a concurrent wait, wait.


def test_registrations_during_the_conversion_take_effect(poll, descriptors):
    fd = descriptors.writable()
    poller = poll()

    class Registers:
        def __index__(self):
            poller.register(fd, POLLOUT)
            return 0

    assert poller.poll(Registers()) == [(fd, POLLOUT)]


def test_unregistrations_during_the_conversion_take_effect(poll, descriptors):
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
def test_a_bad_timeout_is_reported_before_a_concurrent_wait(idle, timeout):
    error = outcome(select.poll().poll, timeout)
    assert isinstance(error, Raised)
    with waiting(idle.poller) as future:
        assert outcome(idle.poller.poll, timeout) == error
        assert outcome(idle.poller.poll, 0) == CONCURRENT
        idle.wake()
    assert future.result() == [(idle.reader, POLLIN)]
