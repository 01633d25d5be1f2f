"""Several threads use one object."""

import os
import random
import select
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from select import POLLHUP, POLLIN, POLLNVAL, POLLOUT

import pollset
import pytest
from support import CONCURRENT, later, outcome, seconds_of, until, waiting


@pytest.mark.parametrize("waits", [(), (None,), (-1,), (60_000,)], ids=repr)
@pytest.mark.parametrize("timeout", [(), (None,), (0,), (0.1,), (1000,)], ids=repr)
def test_a_concurrent_poll_is_refused(poller, pipe, waits, timeout):
    reader, writer = pipe
    with waiting(poller, *waits) as future:
        assert outcome(poller.poll, *timeout) == CONCURRENT
        os.write(writer, b"x")
    assert future.result() == [(reader, POLLIN)]
    assert poller.poll(*timeout) == [(reader, POLLIN)]


def test_a_refused_poll_does_not_end_the_wait(poller, pipe):
    reader, writer = pipe
    with waiting(poller) as future:
        for _ in range(1000):
            assert outcome(poller.poll, 0) == CONCURRENT
        assert not future.done()
        os.write(writer, b"x")
    assert future.result() == [(reader, POLLIN)]


def test_other_objects_may_poll_during_a_wait(poller, pipe, poll):
    reader, writer = pipe
    other = poll()
    other.register(writer, POLLOUT)
    with waiting(poller) as future:
        assert other.poll() == [(writer, POLLOUT)]
        os.write(writer, b"x")
    assert future.result() == [(reader, POLLIN)]


# Changes during a wait succeed at once, don't affect it, and take effect at the next wait.

DELAY = 0.03


def test_register_during_a_wait(poller, pipe, descriptors):
    reader, writer = pipe
    ready = descriptors.readable()
    with waiting(poller) as future:
        assert poller.register(ready, POLLIN) is None
        time.sleep(DELAY)
        assert not future.done()
        os.write(writer, b"x")
    assert future.result() == [(reader, POLLIN)]
    assert poller.poll() == [(reader, POLLIN), (ready, POLLIN)]


def test_register_again_and_modify_during_a_wait(poller, pipe, descriptors):
    reader, writer = pipe
    other = descriptors.writable()
    poller.register(other, POLLIN)
    with waiting(poller) as future:
        assert poller.modify(other, POLLOUT) is None
        assert poller.register(reader, 0) is None
        time.sleep(DELAY)
        assert not future.done()
        os.write(writer, b"x")
    assert future.result() == [(reader, POLLIN)]
    assert poller.poll() == [(other, POLLOUT)]


def test_unregister_during_a_wait(poller, pipe):
    reader, writer = pipe
    with waiting(poller) as future:
        assert poller.unregister(reader) is None
        time.sleep(DELAY)
        assert not future.done()
        os.write(writer, b"x")
    assert future.result() == [(reader, POLLIN)]
    assert poller.poll(0) == []


def test_unregister_and_register_during_a_wait(poller, pipe, descriptors):
    reader, writer = pipe
    ready = descriptors.readable()
    with waiting(poller) as future:
        poller.unregister(reader)
        poller.register(ready, POLLIN)
        poller.register(reader, POLLIN)
        os.write(writer, b"x")
    assert future.result() == [(reader, POLLIN)]
    assert poller.poll() == [(ready, POLLIN), (reader, POLLIN)]


def test_errors_during_a_wait(poller, pipe):
    reader, writer = pipe
    with waiting(poller) as future:
        assert outcome(poller.modify, writer, POLLOUT).type is FileNotFoundError
        assert outcome(poller.unregister, writer).type is KeyError
        assert outcome(poller.register, writer, -1).type is ValueError
        os.write(writer, b"x")
    assert future.result() == [(reader, POLLIN)]


def test_many_changes_during_a_wait(poller, pipe, descriptors):
    reader, writer = pipe
    many = [descriptors.writable() for _ in range(200)]
    with waiting(poller) as future:
        for fd in many:
            poller.register(fd, POLLOUT)
        for fd in many[::2]:
            poller.unregister(fd)
        assert not future.done()
        os.write(writer, b"x")
    assert future.result() == [(reader, POLLIN)]
    assert poller.poll(0) == [(reader, POLLIN), *((fd, POLLOUT) for fd in many[1::2])]


def test_register_during_a_wait_on_an_empty_set(poll, descriptors):
    poller = poll()
    ready = descriptors.readable()
    with waiting(poller, 300) as future:
        poller.register(ready, POLLIN)
    assert future.result() == []
    assert poller.poll() == [(ready, POLLIN)]


def close_during_a_wait(poller, pipe, descriptors):
    """The result of a wait during which a descriptor is closed, and the expected next result."""
    reader, writer = pipe
    poller.register(reader, POLLIN)
    other, _ = descriptors.pipe()
    poller.register(other, POLLIN)
    with waiting(poller) as future:
        descriptors.close(other)
        time.sleep(DELAY)
        os.write(writer, b"x")
    return future.result(), [(reader, POLLIN), (other, POLLNVAL)]


@pytest.mark.parametrize("make", [select.poll, pollset.poll])
def test_a_descriptor_closed_during_a_wait(make, pipe, descriptors):
    """It doesn't end the wait, and is reported when another event does."""
    result, expected = close_during_a_wait(make(), pipe, descriptors)
    assert result == expected


def test_a_descriptor_closed_during_a_wait_on_epoll(pipe, descriptors):
    """It may end the wait, or be detected later."""
    poller = pollset.poll(engine="epoll")
    result, expected = close_during_a_wait(poller, pipe, descriptors)
    assert result in (expected, expected[:1], expected[1:])
    until(lambda: poller.poll(0) == expected)


def test_shutdown_during_a_wait(poll):
    one, other = socket.socketpair()
    with one, other:
        poller = poll()
        poller.register(one, POLLIN)
        with waiting(poller) as future:
            one.shutdown(socket.SHUT_RDWR)
        assert future.result() == [(one.fileno(), POLLIN | POLLHUP)]


def test_the_interpreter_lock_is_released(poller, pipe):
    """Otherwise the other thread could not write."""
    reader, writer = pipe
    with later(os.write, writer, b"x"):
        assert poller.poll() == [(reader, POLLIN)]


@pytest.mark.parametrize("timeout", [200, 200.5])
def test_other_threads_run_during_a_wait(poll, timeout):
    stop = threading.Event()
    rounds = 0

    def run():
        nonlocal rounds
        while not stop.is_set():
            rounds += 1
            time.sleep(0)

    with ThreadPoolExecutor(1) as thread:
        thread.submit(run)
        until(lambda: rounds)
        before = rounds
        seconds, result = seconds_of(poll().poll, timeout)
        during = rounds - before
        stop.set()
    assert result == []
    assert seconds >= 0.2
    assert during > 100


def test_an_object_is_kept_alive_during_a_wait(poll, pipe):
    reader, writer = pipe
    poller = poll()
    poller.register(reader, POLLIN)
    with waiting(poller) as future:
        del poller
        os.write(writer, b"x")
    assert future.result() == [(reader, POLLIN)]


# Concurrent calls of everything.


def run_concurrently(*functions, seconds=0.5):
    """Calls each function in a loop in its own thread. Exceptions are raised here."""
    barrier = threading.Barrier(len(functions))
    stop = threading.Event()

    def run(function):
        barrier.wait()
        while not stop.is_set():
            function()

    with ThreadPoolExecutor(len(functions)) as threads:
        running = [threads.submit(run, function) for function in functions]
        time.sleep(seconds)
        stop.set()
        for each in running:
            each.result()


def test_stress_of_changes_during_waits(poll, descriptors):
    """Each thread changes its own descriptors, so the final registrations are known."""
    poller = poll()
    states = []

    def changer(seed):
        rng = random.Random(seed)
        state = {descriptors.writable(): None for _ in range(30)}
        states.append(state)

        def change():
            fd = rng.choice(list(state))
            if state[fd] is None:
                assert outcome(poller.modify, fd, POLLIN).type is FileNotFoundError
                assert outcome(poller.unregister, fd).type is KeyError
                state[fd] = rng.choice([0, POLLIN, POLLOUT])
                poller.register(fd, state[fd])
            elif rng.random() < 0.5:
                state[fd] = rng.choice([0, POLLIN, POLLOUT])
                poller.modify(fd, state[fd])
            else:
                state[fd] = None
                poller.unregister(fd)

        return change

    def wait():
        for fd, event in poller.poll(0.5):
            assert event == POLLOUT
            assert fd in known

    changers = [changer(seed) for seed in range(3)]
    known = {fd for state in states for fd in state}
    run_concurrently(wait, *changers)
    expected = {(fd, POLLOUT) for state in states for fd, mask in state.items() if mask == POLLOUT}
    assert set(poller.poll(0)) == expected


def test_stress_of_concurrent_waits(poll, descriptors):
    fds = [descriptors.writable() for _ in range(20)]
    poller = poll()
    for fd in fds:
        poller.register(fd, POLLOUT)
    everything = [(fd, POLLOUT) for fd in fds]
    results = {"all": 0, "refused": 0}

    def wait(timeout):
        result = outcome(poller.poll, timeout)
        assert result in (everything, CONCURRENT)
        results["refused" if result == CONCURRENT else "all"] += 1

    run_concurrently(lambda: wait(0), lambda: wait(None), lambda: wait(10))
    assert results["all"]
    assert poller.poll() == everything


def test_stress_of_one_descriptor(poll, descriptors):
    """Every result was correct at some time during the call."""
    fd = descriptors.writable()
    poller = poll()

    def change():
        outcome(poller.register, fd, POLLOUT)
        outcome(poller.modify, fd, POLLIN)
        outcome(poller.unregister, fd)

    def wait():
        assert outcome(poller.poll, 0) in ([], [(fd, POLLOUT)], CONCURRENT)

    run_concurrently(change, change, wait, wait)
    outcome(poller.unregister, fd)
    assert poller.poll(0) == []


def test_stress_of_creating_and_dropping_objects(poll, descriptors):
    fd = descriptors.readable()

    def use():
        poller = poll()
        poller.register(fd, POLLIN)
        assert poller.poll(0) == [(fd, POLLIN)]

    run_concurrently(use, use, use)


@pytest.mark.parametrize("engine", ["auto", "poll", "epoll"])
def test_stress_of_everything(engine):
    """In a separate process, which might crash or hang."""
    program = Path(__file__).with_name("stress.py")
    changes = 100_000 if os.environ.get("POLLSET_LONG") else 2000
    subprocess.run([sys.executable, program, engine, str(changes)], check=True)


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python has the interpreter lock"
)
def test_importing_leaves_the_interpreter_lock_disabled():
    code = "import pollset, sys; print(sys._is_gil_enabled())"
    program = [sys.executable, "-Werror", "-c", code]
    assert subprocess.run(program, capture_output=True, check=True).stdout == b"False\n"
