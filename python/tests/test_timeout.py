"""What poll() takes as a timeout, and how long it waits."""

import os
import select
import sys
from decimal import Decimal
from fractions import Fraction
from select import POLLIN, POLLOUT

import pytest
from support import CONCURRENT, HasFileno, Index, Int, Raised, later, outcome, seconds_of, waiting

PYTIME = "PyTime_t" if sys.version_info >= (3, 13) else "_PyTime_t"
TOO_LARGE = Raised(OverflowError, "timeout is too large")
BEYOND_INT64 = Raised(OverflowError, f"timestamp too large to convert to C {PYTIME}")
BEYOND_DOUBLE = Raised(OverflowError, "timestamp out of range for platform time_t")
NO_NUMBER = Raised(TypeError, "timeout must be an integer or None")


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


@pytest.mark.parametrize(
    "timeout",
    [
        2**31,
        2.0**31,
        2.0**31 - 1 + 1e-6,
        -(2**31) - 1,
        -(2.0**31) - 1,
        2**63 // 10**6,
        -(2**63 // 10**6),
        1e12,
    ],
)
def test_more_milliseconds_than_a_c_int(ready, timeout):
    assert outcome(ready.poll, timeout) == TOO_LARGE


@pytest.mark.parametrize(
    "timeout",
    [2**63 // 10**6 + 1, -(2**63 // 10**6) - 2, 2**53, 2**63, -(2**63), 2**64, 10**30, -(10**30)],
)
def test_more_nanoseconds_than_64_bits(ready, timeout):
    assert outcome(ready.poll, timeout) == BEYOND_INT64
    assert outcome(ready.poll, Index(timeout)) == BEYOND_INT64


@pytest.mark.parametrize("timeout", [float("inf"), float("-inf"), 1e300, -1e300, 1e15, -1e15])
def test_huge_floats(ready, timeout):
    """Up to some 3.11, in the words for huge integers."""
    assert outcome(ready.poll, timeout) in (BEYOND_INT64, BEYOND_DOUBLE)


def test_nan(ready):
    error = Raised(ValueError, "Invalid value NaN (not a number)")
    assert outcome(ready.poll, float("nan")) == error


@pytest.mark.parametrize(
    "timeout",
    [Fraction(0), 0j, "0", b"0", [], (), HasFileno(0)],
    ids=lambda timeout: type(timeout).__name__,
)
def test_not_a_number(ready, timeout):
    assert outcome(ready.poll, timeout) == NO_NUMBER


@pytest.mark.parametrize("timeout", [Int(), Decimal(0), Decimal("0.5")], ids=repr)
def test_only_int(ready, timeout):
    """Python 3.9 still takes it for an integer, with a warning."""
    if sys.version_info >= (3, 10):
        assert outcome(ready.poll, timeout) == NO_NUMBER
    else:
        with pytest.warns(DeprecationWarning, match="Implicit conversion to integers"):
            assert len(ready.poll(timeout)) == 1


def test_not_a_number_that_is_only_a_float(ready):
    class Float:
        def __float__(self):
            return 0.0

    assert outcome(ready.poll, Float()) == NO_NUMBER


def test_a_subclass_of_float(unready):
    class Seconds(float):
        pass

    assert unready.poller.poll(Seconds(0)) == []


@pytest.mark.parametrize("error", [ZeroDivisionError, ValueError, AttributeError])
def test_index_that_raises(ready, error):
    class Raises:
        def __index__(self):
            raise error("from inside")

    assert outcome(ready.poll, Raises()) == Raised(error, "from inside")


@pytest.mark.parametrize("result", ["1", 1.0, None])
def test_index_that_returns_no_integer(ready, result):
    assert outcome(ready.poll, Index(result)) == NO_NUMBER


def test_index_that_raises_a_type_error(ready):
    class Raises:
        def __index__(self):
            raise TypeError("from inside")

    assert outcome(ready.poll, Raises()) == NO_NUMBER


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


def test_fractions_of_a_millisecond_are_honoured(ours, descriptors):
    unready = Unready(ours(), descriptors)
    best = min(seconds_of(unready.poller.poll, 0.1)[0] for _ in range(200))
    assert 0.0001 <= best < 0.001


@pytest.mark.skipif(sys.version_info >= (3, 15), reason="honours fractions")
def test_select_rounds_up_to_milliseconds(descriptors):
    unready = Unready(select.poll(), descriptors)
    assert min(seconds_of(unready.poller.poll, 0.1)[0] for _ in range(20)) >= 0.001


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


def test_a_bad_timeout_is_found_before_the_concurrent_wait(unready):
    poller = unready.poller
    with waiting(poller) as answer:
        assert outcome(poller.poll, "0") == NO_NUMBER
        assert outcome(poller.poll, 2**31) == TOO_LARGE
        assert outcome(poller.poll, 2**63) == BEYOND_INT64
        assert outcome(poller.poll, float("nan")).type is ValueError
        assert outcome(poller.poll, 0) == CONCURRENT
        unready.wake()
    assert answer.result() == [(unready.reader, POLLIN)]
