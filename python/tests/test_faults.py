"""Child processes, signals, limits, and descriptors that other code closes or replaces."""

import gc
import multiprocessing
import os
import resource
import time
from collections import Counter
from contextlib import suppress
from select import POLLIN, POLLNVAL, POLLOUT

import pytest
from support import (
    CONCURRENT,
    Child,
    alarms,
    open_descriptors,
    open_files,
    outcome,
    seconds_of,
)


@pytest.fixture
def fds(descriptors):
    return [descriptors.readable() for _ in range(30)]


@pytest.fixture
def poller(poll, fds):
    """A mostly idle object that was polled often."""
    poller = poll()
    for fd in fds:
        poller.register(fd, 0)
    for _ in range(300):
        assert poller.poll(0) == []
    for fd in fds[::2]:
        poller.register(fd, POLLIN)
    return poller


def half_ready(fds):
    return [(fd, POLLIN) for fd in fds[::2]]


def change_everything(poller, fds, new):
    """The results before and after changes of every kind."""
    results = [poller.poll(), poller.poll(0)]
    for fd in fds:
        poller.unregister(fd)
    poller.register(new)
    results.append(poller.poll(0))
    poller.modify(new, POLLIN)
    results.append(poller.poll(0))
    poller.unregister(new)
    results.append(poller.poll(1))
    return results


def expected_results(fds, new):
    return [half_ready(fds), half_ready(fds), [(new, POLLOUT)], [], []]


# Children.

FORK = multiprocessing.get_context("fork")


def test_a_hundred_children_use_the_object_concurrently(poller, fds, descriptors):
    new = descriptors.writable()
    reader, writer = descriptors.pipe()

    def use():
        os.read(reader, 1)
        return change_everything(poller, fds, new)

    children = [Child(use) for _ in range(100)]
    os.write(writer, bytes(len(children)))
    for child in children:
        assert poller.poll() == half_ready(fds)
        assert child.outcome() == expected_results(fds, new)
    assert poller.poll() == half_ready(fds)


def test_multiprocessing_processes(poller, fds, descriptors):
    new = descriptors.writable()
    results = FORK.SimpleQueue()

    def use():
        results.put(change_everything(poller, fds, new))

    processes = [FORK.Process(target=use) for _ in range(10)]
    for process in processes:
        process.start()
    for process in processes:
        assert results.get() == expected_results(fds, new)
        assert poller.poll() == half_ready(fds)
        process.join()
        process.close()
    results.close()


def test_a_child_that_closes_all_descriptors_first(poller, fds):
    def use():
        nonlocal poller
        os.closerange(3, 1 + max(map(int, open_descriptors())))
        for fd in fds:
            poller.register(fd)
        assert poller.poll() == [(fd, POLLNVAL) for fd in fds]
        for _ in range(max(fds)):  # reuses all numbers
            os.open(os.devnull, os.O_RDWR)
        for _ in range(100):
            assert poller.poll() == [(fd, POLLIN | POLLOUT) for fd in fds]
        before = open_files()
        del poller
        gc.collect()
        assert open_files() == before

    process = FORK.Process(target=use)
    process.start()
    process.join()
    assert process.exitcode == 0
    process.close()
    assert poller.poll() == half_ready(fds)


# Descriptors.


def test_another_file_under_the_number_of_the_epoll_instance(pollset_poll, descriptors):
    """Programs must not do that, but neither the other file nor the results are damaged."""
    fds = [descriptors.readable() for _ in range(30)]
    before = open_files()
    poller = pollset_poll()
    for fd in fds:
        poller.register(fd, 0)
    for _ in range(300):
        assert poller.poll(0) == []
    for number in open_files().keys() - before.keys():
        descriptors.keep(os.dup2(fds[0], int(number)))
    for fd in fds:
        poller.register(fd, POLLIN)
    everything = [(fd, POLLIN) for fd in fds]
    deadline = time.monotonic() + 20
    while poller.poll(0) != everything:
        assert time.monotonic() < deadline
    assert poller.poll() == everything
    del poller
    gc.collect()
    assert all(os.fstat(fd) for fd in descriptors.open)


def test_the_descriptor_limit_is_lowered_and_raised(poll, fds):
    """Under the low limit, an object can't create an epoll instance."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    poller = poll()
    for fd in fds:
        poller.register(fd, 0)
    try:
        for limit in (len(fds), soft, len(fds), soft):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            for _ in range(200):
                assert poller.poll(0) == []
            poller.modify(fds[0], POLLIN)
            assert poller.poll() == [(fds[0], POLLIN)]
            poller.modify(fds[0], 0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# Signals at intervals of a millisecond.


class FromTheHandler(Exception):
    pass


def test_signals_do_not_end_waits_early(poll, pipe):
    poller = poll()
    poller.register(pipe[0], POLLIN)
    calls = []
    with alarms(lambda: calls.append(1), interval=0.001):
        for milliseconds in (1, 10, 30, 100) * 3:
            seconds, result = seconds_of(poller.poll, milliseconds)
            assert result == []
            assert seconds >= milliseconds / 1000
    assert len(calls) > 100


@pytest.mark.parametrize("raises", [False, True])
def test_signals_lose_no_events(poll, descriptors, raises):
    """The handler makes one of many descriptors ready, and may end the wait."""
    pipes = [descriptors.pipe() for _ in range(30)]
    poller = poll()
    for reader, _ in pipes:
        poller.register(reader, POLLIN)
    sent = []

    def send():
        if len(sent) < 300:
            sent.append(pipes[len(sent) % len(pipes)])
            os.write(sent[-1][1], b"x")
            if raises and outcome(poller.poll, 0) == CONCURRENT:
                raise FromTheHandler

    received = Counter()
    with alarms(send, interval=0.001):
        while sum(received.values()) < 300:
            with suppress(FromTheHandler):
                for fd, event in poller.poll(20_000):
                    assert event == POLLIN
                    received[fd] += len(os.read(fd, 1))
    assert set(received.values()) == {10}
    assert poller.poll(0) == []
