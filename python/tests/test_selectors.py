"""PollSelector behaves as selectors.PollSelector, except for the documented differences."""

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
CLASSES = {"selectors": selectors.PollSelector, "pollset": pollset.PollSelector}


if cpython:

    class TestsOfCPython(
        cpython.BaseSelectorTestCase, cpython.ScalableSelectorMixIn, unittest.TestCase
    ):
        SELECTOR = pollset.PollSelector

else:

    @pytest.mark.skip(reason="this Python is installed without its tests")
    def test_of_cpython():
        pass


@pytest.fixture(params=CLASSES.values(), ids=CLASSES)
def make(request):
    """The standard class and pollset's: the test must pass with both."""
    return request.param


@pytest.fixture
def selector(make):
    with make() as selector:
        yield selector


@pytest.fixture
def pollset_selector():
    with pollset.PollSelector() as selector:
        yield selector


@pytest.fixture
def pair():
    pair = Pair(selectors.PollSelector(), pollset.PollSelector())
    yield pair
    pair.close()


def as_poller(selector):
    """An adapter for helpers that take polling objects."""
    return SimpleNamespace(poll=selector.select)


class Data:
    """Instances can have weak references."""


def test_poll_selector_is_a_standard_selector():
    assert issubclass(pollset.PollSelector, selectors.PollSelector)
    assert issubclass(pollset.PollSelector, selectors.BaseSelector)
    assert pollset.PollSelector.__name__ == "PollSelector"
    assert not hasattr(pollset.PollSelector(), "fileno")


# Results.


def test_selector_cls_replaced_by_a_library(monkeypatch, descriptors):
    """gevent replaces it with a class whose poll() lets other greenlets run."""

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


def test_registration_order(pair, descriptors):
    fds = [descriptors.readable() for _ in range(60)]
    for fd in fds[::-1]:
        pair.register(fd, EVENT_READ)
    pair.unregister(fds[30])
    pair.register(fds[30], EVENT_READ)
    pair.modify(fds[40], READ_WRITE)
    for _ in range(50):
        ready = pair.select(0)
    assert [key.fd for key, _ in ready] == [*fds[:30:-1], *fds[29::-1], fds[30]]


def test_each_call_returns_a_new_list(selector, descriptors):
    selector.register(descriptors.readable(), EVENT_READ)
    first = selector.select(0)
    second = selector.select(0)
    assert first == second
    assert first is not second
    first.clear()
    assert len(selector.select(0)) == 1


def test_results_contain_the_registered_key(selector, descriptors):
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


# Changes of registrations.


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
def test_a_reused_number(pair, descriptors, others):
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


def test_a_descriptor_without_a_key_is_left_out(pair, descriptors):
    """This happens if it is unregistered during the wait."""
    fds = [descriptors.readable() for _ in range(3)]
    for fd in fds:
        pair.register(fd, EVENT_READ)
    for selector in (pair.standard, pair.tested):
        del selector._fd_to_key[fds[1]]
    assert [key.fd for key, _ in pair.select(0)] == [fds[0], fds[2]]


# Errors. test_unusual_arguments.py has more.


def test_errors_of_double_and_missing_registrations(pair, descriptors):
    fd = descriptors.readable()
    pair.register(fd, EVENT_READ)
    assert pair.register(fd, EVENT_READ).type is KeyError
    pair.unregister(fd)
    for call in [pair.unregister, pair.get_key]:
        assert call(fd).type is KeyError
    assert pair.modify(fd, EVENT_READ).type is KeyError


def test_get_map(pair, descriptors):
    fd = descriptors.readable()
    key = pair.register(fd, EVENT_READ, "data")
    for selector in (pair.standard, pair.tested):
        assert dict(selector.get_map()) == {fd: key}


def test_a_closed_selector(pair, descriptors):
    fd = descriptors.readable()
    pair.register(fd, EVENT_READ)
    pair.select(0)
    pair.close()
    assert pair.get_key(fd).type is RuntimeError
    assert pair.get_map() is None
    assert pair.unregister(fd).type is KeyError
    pair.close()


def test_nothing_is_ready_after_close(pollset_selector, descriptors):
    pollset_selector.register(descriptors.readable(), EVENT_READ)
    pollset_selector.close()
    assert pollset_selector.select(0) == []


# Timeouts, in seconds.


@pytest.mark.parametrize("timeout", [0, -1, -0.5, Fraction(-1, 3), Decimal(-1)], ids=repr)
def test_zero_and_negative_timeouts_do_not_wait(selector, descriptors, timeout):
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
        took, result = seconds_of(selector.select, seconds)
        assert result == []
        assert took >= seconds


def test_fractions_of_a_millisecond_are_honoured(pollset_selector, descriptors):
    pollset_selector.register(descriptors.pipe()[0], EVENT_READ)
    best = min(seconds_of(pollset_selector.select, 0.0001)[0] for _ in range(200))
    with selectors.PollSelector() as standard:
        millisecond = min(seconds_of(standard.select, 0.001)[0] for _ in range(200))
    assert 0.0001 <= best < millisecond


def test_an_empty_selector_sleeps(selector):
    seconds, result = seconds_of(selector.select, 0.05)
    assert result == []
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
    """select() then returns an empty list."""
    selector.register(descriptors.pipe()[0], EVENT_READ)
    handler = during_a_wait(as_poller(selector), raises(InterruptedError))
    with alarms(handler):
        assert selector.select() == []


def test_a_signal_does_not_shorten_the_wait(selector, descriptors):
    selector.register(descriptors.pipe()[0], EVENT_READ)
    calls = []
    with alarms(lambda: calls.append(1)):
        seconds, result = seconds_of(selector.select, 0.15)
    assert result == []
    assert seconds >= 0.15
    assert calls


def test_the_wakeup_descriptor_ends_the_wait(selector, descriptors):
    """asyncio uses it to run handlers in the event loop, not during the wait."""
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


def test_changes_by_other_threads_during_a_wait(selector, descriptors):
    reader, writer = descriptors.pipe()
    fds = [descriptors.readable() for _ in range(100)]
    selector.register(reader, EVENT_READ)
    with waiting(as_poller(selector)) as future:
        for fd in fds:
            selector.register(fd, EVENT_READ)
        for fd in fds[::2]:
            selector.unregister(fd)
        for fd in fds[1::2]:
            selector.modify(fd, EVENT_READ, "modified")
        os.write(writer, b"x")
        assert [key.fd for key, _ in future.result()] == [reader]
    assert [key.fd for key, _ in selector.select()] == [reader, *fds[1::2]]


def test_a_descriptor_unregistered_during_a_wait_is_not_reported(selector, descriptors):
    reader, writer = descriptors.pipe()
    selector.register(reader, EVENT_READ)
    with waiting(as_poller(selector)) as future:
        selector.unregister(reader)
        os.write(writer, b"x")
        assert future.result() == []


def test_close_during_a_wait(pollset_selector, descriptors):
    reader, writer = descriptors.pipe()
    pollset_selector.register(reader, EVENT_READ)
    with waiting(as_poller(pollset_selector)) as future:
        pollset_selector.close()
        os.write(writer, b"x")
        assert future.result() == []


# Memory, references and descriptors.


def test_unregister_releases_the_key(selector, descriptors):
    fd = descriptors.readable()
    data = Data()
    reference = weakref.ref(data)
    selector.register(fd, EVENT_READ, data)
    del data
    for _ in range(5):
        selector.select(0)
    assert reference()
    selector.unregister(fd)
    assert not reference()


def test_modify_releases_the_old_data(selector, descriptors):
    fd = descriptors.readable()
    data = Data()
    reference = weakref.ref(data)
    selector.register(fd, EVENT_READ, data)
    del data
    for _ in range(5):
        selector.select(0)
    selector.modify(fd, EVENT_READ, "new")
    assert not reference()


def test_close_releases_the_keys(selector, descriptors):
    data = Data()
    reference = weakref.ref(data)
    selector.register(descriptors.readable(), EVENT_READ, data)
    del data
    for _ in range(5):
        selector.select(0)
    selector.close()
    assert not reference()


def test_a_reference_cycle_with_the_selector_is_collected(make, descriptors):
    """Also if the selector was not closed."""
    selector = make()
    data = Data()
    data.selector = selector
    reference = weakref.ref(data)
    selector.register(descriptors.readable(), EVENT_READ, data)
    for _ in range(5):
        selector.select(0)
    del selector, data
    gc.collect()
    assert not reference()


def test_a_destructor_of_the_data_may_use_the_selector(selector, descriptors):
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


def test_select_leaves_the_reference_counts_unchanged(selector, descriptors):
    key = selector.register(descriptors.readable(), EVENT_READ, Data())
    before = sys.getrefcount(key), sys.getrefcount(key.data)
    for _ in range(1000):
        selector.select(0)
    assert (sys.getrefcount(key), sys.getrefcount(key.data)) == before


def test_close_closes_the_epoll_instance(pollset_selector, descriptors):
    fds = [descriptors.pipe()[0] for _ in range(50)]
    before = open_descriptors()
    for fd in fds:
        pollset_selector.register(fd, EVENT_READ)
    for _ in range(200):
        pollset_selector.select(0)
    assert len(open_descriptors()) == len(before) + 1
    pollset_selector.close()
    assert open_descriptors() == before
