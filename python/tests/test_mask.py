"""What register() and modify() take as an event mask, and the order of the checks."""

import select
from decimal import Decimal
from fractions import Fraction
from select import POLLIN, POLLOUT, POLLPRI

import pytest
from support import NOT_OPEN, HasFileno, Index, Int, Raised, outcome


class Mask(int):
    pass


@pytest.fixture(params=["register", "modify"])
def call(request):
    """Gives the mask to a descriptor by each of the methods that do."""

    def call(poller, mask, fd=1):
        return getattr(poller, request.param)(fd, mask)

    return call


@pytest.fixture
def poller(poll):
    poller = poll()
    poller.register(1)
    return poller


@pytest.mark.parametrize("mask", [0, 1, False, True, 0x7FFF, 0x8000, 0xFFFF, Mask(5)])
def test_masks_of_16_bits(poller, call, mask):
    assert call(poller, mask) is None


@pytest.mark.parametrize("mask", [2**16, 2**31, 2**32, 2**63, 2**64 - 1])
def test_more_than_16_bits(poller, call, mask):
    error = Raised(OverflowError, "Python int too large for C unsigned short")
    assert outcome(call, poller, mask) == error


@pytest.mark.parametrize("mask", [2**64, 2**64 + 1, 10**30])
def test_more_than_64_bits(poller, call, mask):
    error = Raised(OverflowError, "Python int too large to convert to C unsigned long")
    assert outcome(call, poller, mask) == error


@pytest.mark.parametrize("mask", [-1, -(2**16), -(2**63), -(2**63) - 1, -(2**64), -(10**30)])
def test_negative(poller, call, mask):
    assert outcome(call, poller, mask) == Raised(ValueError, "value must be positive")


@pytest.mark.parametrize(
    "mask",
    [1.0, "1", b"1", None, Decimal(1), Fraction(1), 1j, [], Index(1), Int(), HasFileno(1)],
    ids=lambda mask: type(mask).__name__,
)
def test_not_an_integer(poller, call, mask):
    assert outcome(call, poller, mask) == Raised(TypeError, "an integer is required")


def test_the_default_is_in_pri_and_out(poll, descriptors):
    read_end, write_end = descriptors.pipe()
    end, _ = descriptors.sockets()
    for fd in (read_end, write_end, end, descriptors.readable(), descriptors.path("/dev/null")):
        by_default, asked = poll(), poll()
        by_default.register(fd)
        asked.register(fd, POLLIN | POLLPRI | POLLOUT)
        assert by_default.poll(0) == asked.poll(0)


def test_a_refused_mask_changes_nothing(poll, call, descriptors):
    fd = descriptors.writable()
    poller = poll()
    poller.register(fd, POLLOUT)
    for mask in (2**16, -1, None):
        outcome(call, poller, mask, fd=fd)
        assert poller.poll(0) == [(fd, POLLOUT)]
        outcome(poll().register, fd, mask)
    other = poll()
    for mask in (2**16, -1, None):
        outcome(other.register, fd, mask)
        assert other.poll(0) == []


# The order of the checks.


def test_the_descriptor_is_checked_before_the_mask(poller, call):
    for mask in (2**16, -1, None):
        assert outcome(call, poller, mask, fd=-1).type is ValueError
        assert outcome(call, poller, mask, fd=2**31) == Raised(
            OverflowError, "Python int too large to convert to C int"
        )
        assert "fileno" in outcome(call, poller, mask, fd=None).text


def test_fileno_runs_before_the_mask_is_checked(poller, call):
    called = []

    class Counts:
        def fileno(self):
            called.append(True)
            return 1

    assert outcome(call, poller, 2**16, fd=Counts()).type is OverflowError
    assert called


def test_the_mask_is_checked_before_the_membership(poll):
    poller = poll()
    for mask, error in [(2**16, OverflowError), (-1, ValueError), (None, TypeError)]:
        assert outcome(poller.modify, NOT_OPEN, mask).type is error
    assert outcome(poller.modify, NOT_OPEN, 1).type is FileNotFoundError


def test_every_mask_is_answered_alike(ours, descriptors):
    files = descriptors.in_many_states()
    theirs, ours = select.poll(), ours()
    for fd in files:
        theirs.register(fd, 0)
        ours.register(fd, 0)
    for mask in range(2**16):
        for fd in files:
            theirs.modify(fd, mask)
            ours.modify(fd, mask)
        assert ours.poll(0) == theirs.poll(0), hex(mask)
