"""One object that several threads use."""

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
def test_a_second_poll_meanwhile(poller, pipe, waits, timeout):
    reader, writer = pipe
    with waiting(poller, *waits) as answer:
        assert outcome(poller.poll, *timeout) == CONCURRENT
        os.write(writer, b"x")
    assert answer.result() == [(reader, POLLIN)]
    assert poller.poll(*timeout) == [(reader, POLLIN)]


def test_a_refused_poll_disturbs_nothing(poller, pipe):
    reader, writer = pipe
    with waiting(poller) as answer:
        for _ in range(1000):
            assert outcome(poller.poll, 0) == CONCURRENT
        assert not answer.done()
        os.write(writer, b"x")
    assert answer.result() == [(reader, POLLIN)]


def test_other_objects_may_poll_meanwhile(poller, pipe, poll):
    reader, writer = pipe
    other = poll()
    other.register(writer, POLLOUT)
    with waiting(poller) as answer:
        assert other.poll() == [(writer, POLLOUT)]
        os.write(writer, b"x")
    assert answer.result() == [(reader, POLLIN)]


# Changes during a wait succeed at once, neither wake it nor alter it, and count from the next on.

A_MOMENT = 0.03


def test_register_meanwhile(poller, pipe, descriptors):
    reader, writer = pipe
    ready = descriptors.readable()
    with waiting(poller) as answer:
        assert poller.register(ready, POLLIN) is None
        time.sleep(A_MOMENT)
        assert not answer.done()
        os.write(writer, b"x")
    assert answer.result() == [(reader, POLLIN)]
    assert poller.poll() == [(reader, POLLIN), (ready, POLLIN)]


def test_register_again_and_modify_meanwhile(poller, pipe, descriptors):
    reader, writer = pipe
    other = descriptors.writable()
    poller.register(other, POLLIN)
    with waiting(poller) as answer:
        assert poller.modify(other, POLLOUT) is None
        assert poller.register(reader, 0) is None
        time.sleep(A_MOMENT)
        assert not answer.done()
        os.write(writer, b"x")
    assert answer.result() == [(reader, POLLIN)]
    assert poller.poll() == [(other, POLLOUT)]


def test_unregister_meanwhile(poller, pipe):
    reader, writer = pipe
    with waiting(poller) as answer:
        assert poller.unregister(reader) is None
        time.sleep(A_MOMENT)
        assert not answer.done()
        os.write(writer, b"x")
    assert answer.result() == [(reader, POLLIN)]
    assert poller.poll(0) == []


def test_unregister_and_register_meanwhile(poller, pipe, descriptors):
    reader, writer = pipe
    ready = descriptors.readable()
    with waiting(poller) as answer:
        poller.unregister(reader)
        poller.register(ready, POLLIN)
        poller.register(reader, POLLIN)
        os.write(writer, b"x")
    assert answer.result() == [(reader, POLLIN)]
    assert poller.poll() == [(ready, POLLIN), (reader, POLLIN)]


def test_errors_meanwhile(poller, pipe):
    reader, writer = pipe
    with waiting(poller) as answer:
        assert outcome(poller.modify, writer, POLLOUT).type is FileNotFoundError
        assert outcome(poller.unregister, writer).type is KeyError
        assert outcome(poller.register, writer, -1).type is ValueError
        os.write(writer, b"x")
    assert answer.result() == [(reader, POLLIN)]


def test_many_changes_meanwhile(poller, pipe, descriptors):
    reader, writer = pipe
    many = [descriptors.writable() for _ in range(200)]
    with waiting(poller) as answer:
        for fd in many:
            poller.register(fd, POLLOUT)
        for fd in many[::2]:
            poller.unregister(fd)
        assert not answer.done()
        os.write(writer, b"x")
    assert answer.result() == [(reader, POLLIN)]
    assert poller.poll(0) == [(reader, POLLIN), *((fd, POLLOUT) for fd in many[1::2])]


def test_a_wait_on_an_empty_set_sees_nothing(poll, descriptors):
    poller = poll()
    ready = descriptors.readable()
    with waiting(poller, 300) as answer:
        poller.register(ready, POLLIN)
    assert answer.result() == []
    assert poller.poll() == [(ready, POLLIN)]


def close_meanwhile(poller, pipe, descriptors):
    """The answer of a wait during which a descriptor is closed, and the answer after it."""
    reader, writer = pipe
    poller.register(reader, POLLIN)
    other, _ = descriptors.pipe()
    poller.register(other, POLLIN)
    with waiting(poller) as answer:
        descriptors.close(other)
        time.sleep(A_MOMENT)
        os.write(writer, b"x")
    return answer.result(), [(reader, POLLIN), (other, POLLNVAL)]


@pytest.mark.parametrize("make", [select.poll, pollset.poll])
def test_a_descriptor_that_is_closed_meanwhile(make, pipe, descriptors):
    """It doesn't wake the wait, and is reported when something else does."""
    answer, expected = close_meanwhile(make(), pipe, descriptors)
    assert answer == expected


def test_a_descriptor_that_is_closed_meanwhile_on_epoll(pipe, descriptors):
    """It may wake the wait; and it may be found a little later."""
    poller = pollset.poll(engine="epoll")
    answer, expected = close_meanwhile(poller, pipe, descriptors)
    assert answer in (expected, expected[:1], expected[1:])
    until(lambda: poller.poll(0) == expected)


def test_shutdown_meanwhile(poll):
    one, other = socket.socketpair()
    with one, other:
        poller = poll()
        poller.register(one, POLLIN)
        with waiting(poller) as answer:
            one.shutdown(socket.SHUT_RDWR)
        assert answer.result() == [(one.fileno(), POLLIN | POLLHUP)]


def test_the_lock_of_the_interpreter_is_released(poller, pipe):
    """For otherwise the other thread would not come to write."""
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
        seconds, answer = seconds_of(poll().poll, timeout)
        during = rounds - before
        stop.set()
    assert answer == []
    assert seconds >= 0.2
    assert during > 100


def test_the_object_outlives_its_name_during_a_wait(poll, pipe):
    reader, writer = pipe
    poller = poll()
    poller.register(reader, POLLIN)
    with waiting(poller) as answer:
        del poller
        os.write(writer, b"x")
    assert answer.result() == [(reader, POLLIN)]


# Everything at once.


def run_at_once(*functions, seconds=0.5):
    """Each function again and again in a thread of its own; what they raise is raised."""
    begin = threading.Barrier(len(functions))
    stop = threading.Event()

    def run(function):
        begin.wait()
        while not stop.is_set():
            function()

    with ThreadPoolExecutor(len(functions)) as threads:
        running = [threads.submit(run, function) for function in functions]
        time.sleep(seconds)
        stop.set()
        for each in running:
            each.result()


def test_stress_of_changes_during_waits(poll, descriptors):
    """Each thread has descriptors of its own, so it knows what must be registered in the end."""
    poller = poll()
    states = []

    def changer(seed):
        chance = random.Random(seed)
        state = {descriptors.writable(): None for _ in range(30)}
        states.append(state)

        def change():
            fd = chance.choice(list(state))
            if state[fd] is None:
                assert outcome(poller.modify, fd, POLLIN).type is FileNotFoundError
                assert outcome(poller.unregister, fd).type is KeyError
                state[fd] = chance.choice([0, POLLIN, POLLOUT])
                poller.register(fd, state[fd])
            elif chance.random() < 0.5:
                state[fd] = chance.choice([0, POLLIN, POLLOUT])
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
    run_at_once(wait, *changers)
    expected = {(fd, POLLOUT) for state in states for fd, mask in state.items() if mask == POLLOUT}
    assert set(poller.poll(0)) == expected


def test_stress_of_concurrent_waits(poll, descriptors):
    fds = [descriptors.writable() for _ in range(20)]
    poller = poll()
    for fd in fds:
        poller.register(fd, POLLOUT)
    everything = [(fd, POLLOUT) for fd in fds]
    answers = {"all": 0, "refused": 0}

    def wait(timeout):
        answer = outcome(poller.poll, timeout)
        assert answer in (everything, CONCURRENT)
        answers["refused" if answer == CONCURRENT else "all"] += 1

    run_at_once(lambda: wait(0), lambda: wait(None), lambda: wait(10))
    assert answers["all"]
    assert poller.poll() == everything


def test_stress_of_one_descriptor(poll, descriptors):
    """Every answer is that of some moment."""
    fd = descriptors.writable()
    poller = poll()

    def change():
        outcome(poller.register, fd, POLLOUT)
        outcome(poller.modify, fd, POLLIN)
        outcome(poller.unregister, fd)

    def wait():
        assert outcome(poller.poll, 0) in ([], [(fd, POLLOUT)], CONCURRENT)

    run_at_once(change, change, wait, wait)
    outcome(poller.unregister, fd)
    assert poller.poll(0) == []


def test_stress_of_objects_that_come_and_go(poll, descriptors):
    fd = descriptors.readable()

    def use():
        poller = poll()
        poller.register(fd, POLLIN)
        assert poller.poll(0) == [(fd, POLLIN)]

    run_at_once(use, use, use)


@pytest.mark.parametrize("engine", ["auto", "poll", "epoll"])
def test_stress_of_everything(engine):
    """In a process of its own, which may crash or hang."""
    program = Path(__file__).with_name("stress.py")
    changes = 100_000 if os.environ.get("POLLSET_LONG") else 2000
    subprocess.run([sys.executable, program, engine, str(changes)], check=True)


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python has the interpreter lock"
)
def test_the_lock_of_the_interpreter_stays_off():
    code = "import pollset, sys; print(sys._is_gil_enabled())"
    program = [sys.executable, "-Werror", "-c", code]
    assert subprocess.run(program, capture_output=True, check=True).stdout == b"False\n"
