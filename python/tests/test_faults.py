"""What happens around an object: children, signals, limits, and what others do to descriptors."""

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
    """It has been asked often about what it watches, and most of that is idle."""
    poller = poll()
    for fd in fds:
        poller.register(fd, 0)
    for _ in range(300):
        assert poller.poll(0) == []
    for fd in fds[::2]:
        poller.register(fd, POLLIN)
    return poller


def half(fds):
    return [(fd, POLLIN) for fd in fds[::2]]


def change_everything(poller, fds, new):
    """Answers before and after changes of every kind."""
    answers = [poller.poll(), poller.poll(0)]
    for fd in fds:
        poller.unregister(fd)
    poller.register(new)
    answers.append(poller.poll(0))
    poller.modify(new, POLLIN)
    answers.append(poller.poll(0))
    poller.unregister(new)
    answers.append(poller.poll(1))
    return answers


def after_changes(fds, new):
    return [half(fds), half(fds), [(new, POLLOUT)], [], []]


# Children.

FORK = multiprocessing.get_context("fork")


def test_a_hundred_children_that_use_it_at_once(poller, fds, descriptors):
    new = descriptors.writable()
    begin, all_are_here = descriptors.pipe()

    def use():
        os.read(begin, 1)
        return change_everything(poller, fds, new)

    children = [Child(use) for _ in range(100)]
    os.write(all_are_here, bytes(len(children)))
    for child in children:
        assert poller.poll() == half(fds)
        assert child.outcome() == after_changes(fds, new)
    assert poller.poll() == half(fds)


def test_processes_of_multiprocessing(poller, fds, descriptors):
    new = descriptors.writable()
    answers = FORK.SimpleQueue()

    def use():
        answers.put(change_everything(poller, fds, new))

    processes = [FORK.Process(target=use) for _ in range(10)]
    for process in processes:
        process.start()
    for process in processes:
        assert answers.get() == after_changes(fds, new)
        assert poller.poll() == half(fds)
        process.join()
        process.close()
    answers.close()


def test_a_daemon_that_closes_everything_first(poller, fds):
    def use():
        nonlocal poller
        os.closerange(3, 1 + max(map(int, open_descriptors())))
        for fd in fds:
            poller.register(fd)
        assert poller.poll() == [(fd, POLLNVAL) for fd in fds]
        for _ in range(max(fds)):  # whatever number was used before is used again
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
    assert poller.poll() == half(fds)


# Descriptors.


def test_another_file_on_the_number_of_the_instance(ours, descriptors):
    """Nobody may do that, but it harms the other file as little as the answers."""
    fds = [descriptors.readable() for _ in range(30)]
    before = open_files()
    poller = ours()
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


def test_a_limit_of_descriptors_that_is_lowered_and_raised(poll, fds):
    """Then no more can be opened, which an object may have wanted."""
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


# A signal each millisecond.


class FromTheHandler(Exception):
    pass


def test_waits_are_not_early_because_of_signals(poll, pipe):
    poller = poll()
    poller.register(pipe[0], POLLIN)
    calls = []
    with alarms(lambda: calls.append(1), interval=0.001):
        for milliseconds in (1, 10, 30, 100) * 3:
            seconds, answer = seconds_of(poller.poll, milliseconds)
            assert answer == []
            assert seconds >= milliseconds / 1000
    assert len(calls) > 100


@pytest.mark.parametrize("raises", [False, True])
def test_no_event_is_lost_because_of_signals(poll, descriptors, raises):
    """The handler makes one ready of many, and may end the wait."""
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
