"""fork() copies the registrations. Afterwards the two objects are independent."""

import os
import sys
from select import POLLIN, POLLNVAL, POLLOUT, poll as select_poll

import pytest
from support import (
    CONCURRENT,
    NOT_OPEN,
    Child,
    in_child,
    outcome,
    waiting,
    when_garbage_is_collected,
)


@pytest.fixture(params=[1, 10, 300])
def fds(request, descriptors):
    return [descriptors.writable() for _ in range(request.param)]


@pytest.fixture(params=[0, 100], ids=["unused", "used"])
def poller(request, poll, fds):
    """A polling object that is polled 100 times before the fork, or never."""
    poller = poll()
    for fd in fds:
        poller.register(fd, POLLIN)
    for _ in range(request.param):
        assert poller.poll(0) == []
    for fd in fds:
        poller.modify(fd, POLLOUT)
    return poller


def test_the_child_has_a_copy(poller, fds):
    everything = [(fd, POLLOUT) for fd in fds]
    assert in_child(poller.poll, 0) == everything
    assert in_child(poller.poll) == everything
    assert poller.poll(0) == everything


def test_changes_in_the_child_do_not_affect_the_parent(poller, fds):
    def change():
        for fd in fds:
            poller.unregister(fd)
        poller.register(NOT_OPEN)
        return [poller.poll(0), poller.poll(0)]

    assert in_child(change) == [[(NOT_OPEN, POLLNVAL)]] * 2
    everything = [(fd, POLLOUT) for fd in fds]
    for _ in range(30):
        assert poller.poll(0) == everything


def test_changes_in_the_parent_do_not_affect_the_child(poller, fds, descriptors):
    reader, writer = descriptors.pipe()

    def poll_later():
        os.read(reader, 1)
        return poller.poll(0)

    child = Child(poll_later)
    for fd in fds:
        poller.unregister(fd)
    assert poller.poll(0) == []
    os.write(writer, b"x")
    assert child.outcome() == [(fd, POLLOUT) for fd in fds]
    assert poller.poll(0) == []


def test_a_grandchild_has_a_copy(poller, fds):
    assert in_child(in_child, poller.poll, 0) == [(fd, POLLOUT) for fd in fds]


def test_closed_in_the_child_but_not_in_the_parent(poller, fds):
    def close_one():
        os.close(fds[0])
        poller.unregister(fds[0])
        return poller.poll(0)

    everything = [(fd, POLLOUT) for fd in fds]
    assert in_child(close_one) == everything[1:]
    assert poller.poll(0) == everything


def test_dropped_in_the_child(poll, fds):
    poller = poll()
    for fd in fds:
        poller.register(fd, POLLOUT)
    everything = [(fd, POLLOUT) for fd in fds]
    for _ in range(30):
        poller.poll(0)

    def drop():
        nonlocal poller
        del poller

    assert in_child(drop) is None
    for _ in range(30):
        assert poller.poll(0) == everything


def wait_and_fork(poll, reader, writer, call):
    """The outcome of a call in a child that is forked while another thread waits."""
    poller = poll()
    poller.register(reader, POLLIN)
    with waiting(poller) as future:
        forked = in_child(call, poller)
        assert not future.done()
        assert outcome(poller.poll, 0) == CONCURRENT
        os.write(writer, b"x")
    assert future.result() == [(reader, POLLIN)]
    return forked


def test_select_poll_is_unusable_in_a_child_forked_during_a_wait(pipe):
    result = wait_and_fork(select_poll, *pipe, lambda poller: poller.poll(0))
    assert result == CONCURRENT


def test_works_in_a_child_forked_during_a_wait(pollset_poll, pipe, descriptors):
    ready = descriptors.readable()

    def use(poller):
        results = [poller.poll(0)]
        poller.register(ready, POLLIN)
        results.append(poller.poll(0))
        results.append(poller.poll())
        poller.unregister(ready)
        results.append(poller.poll(1))
        return results

    event = [(ready, POLLIN)]
    assert wait_and_fork(pollset_poll, *pipe, use) == [[], event, event, []]


def test_changes_in_a_child_forked_during_a_wait(poll, pipe):
    def change(poller):
        poller.register(pipe[1], POLLOUT)
        poller.modify(pipe[1], POLLIN)
        poller.unregister(pipe[1])

    assert wait_and_fork(poll, *pipe, change) is None


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="new tuples start no garbage collection")
def test_works_in_a_child_forked_while_the_result_is_made(pollset_poll, descriptors):
    fds = [descriptors.writable() for _ in range(300)]
    poller = pollset_poll()
    for fd in fds:
        poller.register(fd, POLLOUT)
    everything = [(fd, POLLOUT) for fd in fds]
    results = [poller.poll(0)]
    with when_garbage_is_collected(lambda: results.append(in_child(poller.poll, 0))):
        results.append(poller.poll(0))
    assert results == [everything] * 3
