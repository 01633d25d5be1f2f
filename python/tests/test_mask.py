"""The event mask argument of register() and modify(), and the order of the checks.

test_unusual_arguments.py has more masks that they refuse.
"""

import select
from select import POLLIN, POLLOUT, POLLPRI

import pytest
from support import NOT_OPEN, Pair, Raised, outcome

REFUSED = [2**16, 2**64, -1, None, 1.0, "1"]


class Mask(int):
    pass


@pytest.fixture(params=["register", "modify"])
def method(request):
    """The name of each method that takes a mask."""
    return request.param


@pytest.fixture
def pair(pollset_poll):
    pair = Pair(select.poll(), pollset_poll())
    pair.register(1)
    return pair


@pytest.mark.parametrize("mask", [0, 1, False, True, 0x7FFF, 0x8000, 0xFFFF, Mask(5)])
def test_masks_of_16_bits(poll, method, mask):
    poller = poll()
    poller.register(1)
    assert getattr(poller, method)(1, mask) is None


def test_the_default_is_in_pri_and_out(poll, descriptors):
    read_end, write_end = descriptors.pipe()
    end, _ = descriptors.sockets()
    for fd in (read_end, write_end, end, descriptors.readable(), descriptors.path("/dev/null")):
        default, explicit = poll(), poll()
        default.register(fd)
        explicit.register(fd, POLLIN | POLLPRI | POLLOUT)
        assert default.poll(0) == explicit.poll(0)


@pytest.mark.parametrize("mask", REFUSED, ids=repr)
def test_a_refused_mask_changes_nothing(poll, method, descriptors, mask):
    fd = descriptors.writable()
    poller = poll()
    poller.register(fd, POLLOUT)
    assert isinstance(outcome(getattr(poller, method), fd, mask), Raised)
    assert poller.poll(0) == [(fd, POLLOUT)]
    other = poll()
    assert isinstance(outcome(getattr(other, method), fd, mask), Raised)
    assert other.poll(0) == []


# The order of the checks.


@pytest.mark.parametrize("mask", REFUSED, ids=repr)
@pytest.mark.parametrize("fd", [-1, 2**31, None])
def test_the_descriptor_is_checked_before_the_mask(pair, method, fd, mask):
    both = getattr(pair, method)
    assert both(fd, mask) == both(fd, 1)


def test_fileno_runs_before_the_mask_is_checked(poll, method):
    called = []

    class Counts:
        def fileno(self):
            called.append(True)
            return 1

    assert outcome(getattr(poll(), method), Counts(), 2**16).type is OverflowError
    assert called


@pytest.mark.parametrize("mask", REFUSED, ids=repr)
def test_the_mask_is_checked_before_the_registration(pair, mask):
    assert pair.modify(NOT_OPEN, mask) == pair.modify(1, mask)
    assert pair.modify(NOT_OPEN, 1).type is FileNotFoundError


def test_every_mask_gives_the_events_of_select_poll(pair, descriptors):
    files = descriptors.in_many_states()
    pair.unregister(1)
    for fd in files:
        pair.register(fd, 0)
    for mask in range(2**16):
        for fd in files:
            pair.modify(fd, mask)
        pair.poll(0)
