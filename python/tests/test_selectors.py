"""pollset.PollSelector does what selectors.PollSelector does, but for what it is made for."""

import gc
import os
import select
import selectors
import signal
import socket
import sys
import unittest
import weakref
from decimal import Decimal
from fractions import Fraction
from selectors import EVENT_READ, EVENT_WRITE
from types import SimpleNamespace

import pollset
import pytest
from support import (
    HasFileno,
    Pair,
    alarms,
    during_a_wait,
    later,
    open_descriptors,
    seconds_of,
    waiting,
)

try:
    from test import test_selectors as cpython
except ImportError:
    cpython = None

READ_WRITE = EVENT_READ | EVENT_WRITE
BOTH = {"selectors": selectors.PollSelector, "pollset": pollset.PollSelector}


if cpython:

    class TestOfCPython(
        cpython.BaseSelectorTestCase, cpython.ScalableSelectorMixIn, unittest.TestCase
    ):
        SELECTOR = pollset.PollSelector

else:

    @pytest.mark.skip(reason="this Python comes without its tests")
    def test_of_cpython():
        pass


@pytest.fixture(params=BOTH.values(), ids=BOTH)
def make(request):
    """The standard class, and then ours: both must do what the test says."""
    return request.param


@pytest.fixture
def selector(make):
    with make() as selector:
        yield selector


@pytest.fixture
def ours():
    with pollset.PollSelector() as selector:
        yield selector


@pytest.fixture
def pair():
    pair = Pair(selectors.PollSelector(), pollset.PollSelector())
    yield pair
    pair.close()


def as_poller(selector):
    """What helps with polling objects helps with it."""
    return SimpleNamespace(poll=selector.select)


class Data:
    """What can be referred to weakly."""


def test_it_is_a_selector_like_the_standard_one():
    assert issubclass(pollset.PollSelector, selectors.PollSelector)
    assert issubclass(pollset.PollSelector, selectors.BaseSelector)
    assert pollset.PollSelector.__name__ == "PollSelector"
    assert not hasattr(pollset.PollSelector(), "fileno")


# What is reported.


def test_what_a_library_puts_in_the_standard_class(monkeypatch, descriptors):
    """As gevent does, whose poll is a class and lets other greenlets run."""

    class Cooperative:
        def __init__(self):
            self.object = select.poll()
            self.register = self.object.register

        def poll(self, *timeout):
            return [*self.object.poll(*timeout), (self.reader, select.POLLIN)]

    monkeypatch.setattr(selectors.PollSelector, "_selector_cls", Cooperative)
    with pollset.PollSelector() as selector:
        assert type(selector._selector) is Cooperative
        Cooperative.reader = descriptors.pipe()[0]
        key = selector.register(Cooperative.reader, EVENT_READ)
        assert selector.select(0) == [(key, EVENT_READ)]


@pytest.mark.parametrize("events", [EVENT_READ, EVENT_WRITE, READ_WRITE])
def test_descriptors_in_every_state(pair, descriptors, events):
    for number, fd in enumerate(descriptors.in_many_states()):
        pair.register(fd, events, number)
    for _ in range(50):
        ready = pair.select(0)
    assert len(ready) > 5


def test_many_descriptors_in_every_state(pair, descriptors):
    for _ in range(20):
        for fd in descriptors.in_many_states():
            pair.register(fd, READ_WRITE)
    for _ in range(200):
        ready = pair.select(0)
    assert len(ready) > 100


def test_the_order_is_that_of_registration(pair, descriptors):
    fds = [descriptors.readable() for _ in range(60)]
    for fd in fds[::-1]:
        pair.register(fd, EVENT_READ)
    pair.unregister(fds[30])
    pair.register(fds[30], EVENT_READ)
    pair.modify(fds[40], READ_WRITE)
    for _ in range(50):
        ready = pair.select(0)
    assert [key.fd for key, _ in ready] == [*fds[:30:-1], *fds[29::-1], fds[30]]


def test_a_list_is_the_callers_own(selector, descriptors):
    selector.register(descriptors.readable(), EVENT_READ)
    first = selector.select(0)
    second = selector.select(0)
    assert first == second
    assert first is not second
    first.clear()
    assert len(selector.select(0)) == 1


def test_what_is_reported_is_made_of_the_key(selector, descriptors):
    fd = descriptors.readable()
    key = selector.register(HasFileno(fd), EVENT_READ, "data")
    for _ in range(3):
        [(selected, events)] = selector.select(0)
        assert selected is key
        assert type(events) is int


def test_a_closed_descriptor(pair, descriptors):
    reader, writer = descriptors.pipe()
    pair.register(reader, EVENT_READ)
    pair.register(writer, EVENT_WRITE)
    descriptors.close(reader, writer)
    assert [events for _, events in pair.select()] == [EVENT_READ, EVENT_WRITE]
    pair.unregister(reader)
    pair.unregister(writer)
    assert pair.select(0) == []


def test_a_closed_object(pair):
    sock, peer = socket.socketpair()
    pair.register(sock, EVENT_READ, "data")
    sock.close()
    peer.close()
    assert pair.get_key(sock).data == "data"
    pair.modify(sock, EVENT_WRITE)
    pair.unregister(sock)
    assert pair.get_key(sock).type is ValueError


# What is registered changes.


@pytest.mark.parametrize("before", [0, 1, 5])
def test_modified_data(pair, descriptors, before):
    fd = descriptors.readable()
    pair.register(fd, EVENT_READ, "old")
    for _ in range(before):
        pair.select(0)
    pair.modify(fd, EVENT_READ, "new")
    assert [key.data for key, _ in pair.select(0)] == ["new"]


@pytest.mark.parametrize("before", [0, 1, 5])
def test_modified_events(pair, descriptors, before):
    fd, peer = descriptors.sockets()
    os.write(peer, b"x")
    pair.register(fd, EVENT_READ)
    for events in [EVENT_READ, EVENT_WRITE, READ_WRITE, EVENT_READ]:
        for _ in range(before):
            pair.select(0)
        pair.modify(fd, events)
        assert [ready for _, ready in pair.select(0)] == [events]


@pytest.mark.parametrize("others", [0, 20])
def test_a_number_that_is_used_again(pair, descriptors, others):
    for _ in range(others):
        pair.register(descriptors.readable(), EVENT_READ)
    fd = descriptors.readable()
    for name in ["first", "second"]:
        pair.register(fd, EVENT_READ, name)
        for _ in range(5):
            ready = pair.select(0)
        assert ready[-1][0].data == name
        pair.unregister(fd)
        descriptors.renumbered(descriptors.readable(), fd)


def test_an_unregistered_key_is_not_reported(pair, descriptors):
    fds = [descriptors.readable() for _ in range(20)]
    for fd in fds:
        pair.register(fd, EVENT_READ)
    while fds:
        assert [key.fd for key, _ in pair.select(0)] == fds
        pair.unregister(fds.pop(len(fds) // 2))
    assert pair.select(0) == []


def test_a_descriptor_without_a_key_is_passed_over(pair, descriptors):
    """As happens when it is unregistered during the wait."""
    fds = [descriptors.readable() for _ in range(3)]
    for fd in fds:
        pair.register(fd, EVENT_READ)
    for selector in (pair.theirs, pair.ours):
        del selector._fd_to_key[fds[1]]
    assert [key.fd for key, _ in pair.select(0)] == [fds[0], fds[2]]


# Errors. Odd arguments have a file of their own.


def test_registered_twice_and_not_at_all(pair, descriptors):
    fd = descriptors.readable()
    pair.register(fd, EVENT_READ)
    assert pair.register(fd, EVENT_READ).type is KeyError
    pair.unregister(fd)
    for call in [pair.unregister, pair.get_key]:
        assert call(fd).type is KeyError
    assert pair.modify(fd, EVENT_READ).type is KeyError


def test_the_map(pair, descriptors):
    fd = descriptors.readable()
    key = pair.register(fd, EVENT_READ, "data")
    for selector in (pair.theirs, pair.ours):
        assert dict(selector.get_map()) == {fd: key}


def test_closed(pair, descriptors):
    fd = descriptors.readable()
    pair.register(fd, EVENT_READ)
    pair.select(0)
    pair.close()
    assert pair.get_key(fd).type is RuntimeError
    assert pair.get_map() is None
    assert pair.unregister(fd).type is KeyError
    pair.close()


def test_nothing_is_ready_after_close(ours, descriptors):
    ours.register(descriptors.readable(), EVENT_READ)
    ours.close()
    assert ours.select(0) == []


# Timeouts, in seconds.


@pytest.mark.parametrize("timeout", [0, -1, -0.5, Fraction(-1, 3), Decimal(-1)], ids=repr)
def test_no_wait(selector, descriptors, timeout):
    selector.register(descriptors.pipe()[0], EVENT_READ)
    assert selector.select(timeout) == []


@pytest.mark.parametrize("timeout", [(), (None,), (60,), (60.0,)], ids=repr)
def test_an_event_ends_the_wait(selector, descriptors, timeout):
    reader, writer = descriptors.pipe()
    key = selector.register(reader, EVENT_READ)
    with later(os.write, writer, b"x"):
        assert selector.select(*timeout) == [(key, EVENT_READ)]


@pytest.mark.parametrize(
    "seconds", [1e-9, 1e-6, 0.00025, 0.001, 0.0015, 0.0309, 0.1, Fraction(1, 30)]
)
def test_never_early(selector, descriptors, seconds):
    selector.register(descriptors.pipe()[0], EVENT_READ)
    for _ in range(5):
        took, answer = seconds_of(selector.select, seconds)
        assert answer == []
        assert took >= seconds


def test_fractions_of_a_millisecond_are_honoured(ours, descriptors):
    ours.register(descriptors.pipe()[0], EVENT_READ)
    best = min(seconds_of(ours.select, 0.0001)[0] for _ in range(200))
    assert 0.0001 <= best < 0.001


def test_an_empty_selector_sleeps(selector):
    seconds, answer = seconds_of(selector.select, 0.05)
    assert answer == []
    assert seconds >= 0.05


# Signals.


class FromTheHandler(Exception):
    pass


def raises(error):
    def handler():
        raise error

    return handler


@pytest.mark.parametrize("timeout", [None, 30])
def test_a_handler_that_raises_ends_the_wait(selector, descriptors, timeout):
    selector.register(descriptors.pipe()[0], EVENT_READ)
    handler = during_a_wait(as_poller(selector), raises(FromTheHandler))
    with pytest.raises(FromTheHandler), alarms(handler):
        selector.select(timeout)
    assert selector.select(0) == []


def test_a_handler_that_raises_interrupted_error(selector, descriptors):
    """To the callers of a selector, nothing was ready."""
    selector.register(descriptors.pipe()[0], EVENT_READ)
    handler = during_a_wait(as_poller(selector), raises(InterruptedError))
    with alarms(handler):
        assert selector.select() == []


def test_a_signal_does_not_shorten_the_wait(selector, descriptors):
    selector.register(descriptors.pipe()[0], EVENT_READ)
    calls = []
    with alarms(lambda: calls.append(1)):
        seconds, answer = seconds_of(selector.select, 0.15)
    assert answer == []
    assert seconds >= 0.15
    assert calls


def test_the_wakeup_descriptor_ends_the_wait(selector, descriptors):
    """As in asyncio: the handler runs in the loop, not in the wait."""
    reader, writer = descriptors.pipe()
    os.set_blocking(writer, False)
    key = selector.register(reader, EVENT_READ)
    before = signal.set_wakeup_fd(writer)
    try:
        with alarms(lambda: None):
            assert selector.select() == [(key, EVENT_READ)]
    finally:
        signal.set_wakeup_fd(before)


# Threads.


def test_threads_change_it_during_a_wait(selector, descriptors):
    reader, writer = descriptors.pipe()
    fds = [descriptors.readable() for _ in range(100)]
    selector.register(reader, EVENT_READ)
    with waiting(as_poller(selector)) as answer:
        for fd in fds:
            selector.register(fd, EVENT_READ)
        for fd in fds[::2]:
            selector.unregister(fd)
        for fd in fds[1::2]:
            selector.modify(fd, EVENT_READ, "modified")
        os.write(writer, b"x")
        assert [key.fd for key, _ in answer.result()] == [reader]
    assert [key.fd for key, _ in selector.select()] == [reader, *fds[1::2]]


def test_what_is_unregistered_during_a_wait_is_not_reported(selector, descriptors):
    reader, writer = descriptors.pipe()
    selector.register(reader, EVENT_READ)
    with waiting(as_poller(selector)) as answer:
        selector.unregister(reader)
        os.write(writer, b"x")
        assert answer.result() == []


def test_closed_during_a_wait(ours, descriptors):
    reader, writer = descriptors.pipe()
    ours.register(reader, EVENT_READ)
    with waiting(as_poller(ours)) as answer:
        ours.close()
        os.write(writer, b"x")
        assert answer.result() == []


# Nothing is left behind.


def test_an_unregistered_key_is_let_go_of(selector, descriptors):
    fd = descriptors.readable()
    data = Data()
    gone = weakref.ref(data)
    selector.register(fd, EVENT_READ, data)
    del data
    for _ in range(5):
        selector.select(0)
    assert gone()
    selector.unregister(fd)
    assert not gone()


def test_modified_data_is_let_go_of(selector, descriptors):
    fd = descriptors.readable()
    data = Data()
    gone = weakref.ref(data)
    selector.register(fd, EVENT_READ, data)
    del data
    for _ in range(5):
        selector.select(0)
    selector.modify(fd, EVENT_READ, "new")
    assert not gone()


def test_closing_lets_go_of_keys(selector, descriptors):
    data = Data()
    gone = weakref.ref(data)
    selector.register(descriptors.readable(), EVENT_READ, data)
    del data
    for _ in range(5):
        selector.select(0)
    selector.close()
    assert not gone()


def test_data_that_refers_to_the_selector(make, descriptors):
    """Garbage, even if the selector was never closed."""
    selector = make()
    data = Data()
    data.selector = selector
    gone = weakref.ref(data)
    selector.register(descriptors.readable(), EVENT_READ, data)
    for _ in range(5):
        selector.select(0)
    del selector, data
    gc.collect()
    assert not gone()


def test_data_that_uses_the_selector_when_it_goes(selector, descriptors):
    fds = [descriptors.readable() for _ in range(20)]

    class Unregisters:
        def __init__(self, fd):
            self.fd = fd

        def __del__(self):
            selector.select(0)
            selector.unregister(self.fd)

    for fd, other in zip(fds[::2], fds[1::2]):
        selector.register(fd, EVENT_READ, Unregisters(other))
        selector.register(other, EVENT_READ)
    for fd in fds[::2]:
        selector.select(0)
        selector.unregister(fd)
    assert len(selector.get_map()) == 0


def test_references_are_counted_right(selector, descriptors):
    key = selector.register(descriptors.readable(), EVENT_READ, Data())
    before = sys.getrefcount(key), sys.getrefcount(key.data)
    for _ in range(1000):
        selector.select(0)
    assert (sys.getrefcount(key), sys.getrefcount(key.data)) == before


def test_closing_closes_what_was_opened(ours, descriptors):
    fds = [descriptors.pipe()[0] for _ in range(50)]
    before = open_descriptors()
    for fd in fds:
        ours.register(fd, EVENT_READ)
    for _ in range(200):
        ours.select(0)
    assert len(open_descriptors()) == len(before) + 1
    ours.close()
    assert open_descriptors() == before
