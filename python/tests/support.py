"""Helpers of the tests."""

import gc
import os
import pickle
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

# The largest number that can be registered. Linux allows no process that many open files.
NOT_OPEN = 2**31 - 1


class Raised(NamedTuple):
    type: type
    text: str


CONCURRENT = Raised(RuntimeError, "concurrent poll() invocation")


def outcome(call, *args, **kwargs):
    """What the call returned or raised, as a value that can be compared."""
    try:
        return call(*args, **kwargs)
    except Exception as error:
        return Raised(type(error), str(error))


class Pair:
    """Calls each method on an object of the standard library and on one of pollset.

    Both must return or raise the same.
    """

    def __init__(self, standard, tested):
        self.standard, self.tested = standard, tested

    def __getattr__(self, method):
        def both(*args, **kwargs):
            expected = outcome(getattr(self.standard, method), *args, **kwargs)
            assert outcome(getattr(self.tested, method), *args, **kwargs) == expected
            return expected

        return both


def open_descriptors():
    return os.listdir("/proc/self/fd")


def open_files():
    """The file of each open descriptor of this process."""
    files = {fd: outcome(os.readlink, f"/proc/self/fd/{fd}") for fd in open_descriptors()}
    # The descriptor of os.listdir() is closed by now.
    return {fd: file for fd, file in files.items() if isinstance(file, str)}


class HasFileno:
    def __init__(self, fd):
        self.fd = fd

    def fileno(self):
        return self.fd


class Index:
    """An integer only through `__index__`."""

    def __init__(self, value):
        self.value = value

    def __index__(self):
        return self.value

    def __repr__(self):
        return f"Index({self.value!r})"


class Descriptors:
    """Opens descriptors, and closes those that are still open."""

    def __init__(self):
        self.open = set()

    def keep(self, *fds):
        self.open.update(fds)
        return fds

    def close(self, *fds):
        for fd in fds:
            self.open.remove(fd)
            os.close(fd)

    def close_all(self):
        self.close(*self.open)

    def pipe(self):
        return self.keep(*os.pipe())

    def readable(self):
        reader, writer = self.pipe()
        os.write(writer, b"x")
        return reader

    def writable(self):
        return self.pipe()[1]

    def sockets(self):
        return self.keep(*(end.detach() for end in socket.socketpair()))

    def path(self, path, flags=os.O_RDONLY):
        return self.keep(os.open(path, flags))[0]

    def in_many_states(self):
        """One descriptor for each state that poll(2) distinguishes."""
        half_closed, shut_down = socket.socketpair()
        shut_down.shutdown(socket.SHUT_WR)
        peerless, closed = socket.socketpair()
        closed.close()
        listener = socket.create_server(("127.0.0.1", 0))
        urgent = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
        urgent.send(b"!", socket.MSG_OOB)
        writerless, write_end = self.pipe()
        self.close(write_end)
        read_end, readerless = self.pipe()
        self.close(read_end)
        full = self.writable()
        os.set_blocking(full, False)
        while outcome(os.write, full, bytes(4096)) == 4096:
            pass
        sockets = (half_closed, shut_down, peerless, listener, urgent, accepted, socket.socket())
        return [
            *self.pipe(),
            *self.sockets(),
            *self.keep(*(sock.detach() for sock in sockets)),
            self.readable(),
            writerless,
            readerless,
            full,
            self.path(__file__),
            self.path("/"),
            self.path(os.devnull),
            NOT_OPEN,
        ]

    def renumbered(self, fd, number):
        """Moves the open file of `fd` to `number`."""
        os.dup2(fd, number)
        self.close(fd)
        self.keep(number)


def until(condition, seconds=20):
    """Waits until the condition is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition is still false"
        time.sleep(0.005)


@contextmanager
def waiting(poller, *timeout):
    """Calls `poll()` in another thread. Yields its future during the wait."""
    with ThreadPoolExecutor(1) as thread:
        future = thread.submit(poller.poll, *timeout)
        time.sleep(0.01)  # or that poll() might be the concurrent one
        until(lambda: outcome(poller.poll, 0) == CONCURRENT)
        yield future


@contextmanager
def later(call, *args, seconds=0.05):
    """Another thread makes the call after a delay."""
    timer = threading.Timer(seconds, call, args)
    timer.start()
    try:
        yield
    finally:
        timer.join()


@contextmanager
def alarms(handler, interval=0.02):
    """Calls `handler` for a signal at each interval, in seconds."""
    before = signal.signal(signal.SIGALRM, lambda *_: handler())
    try:
        signal.setitimer(signal.ITIMER_REAL, interval, interval)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def during_a_wait(poller, *actions):
    """A signal handler that takes the next action for each signal during a wait."""

    def handler():
        nonlocal actions
        # Another signal during this handler finds no actions.
        pending, actions = actions, ()
        if pending and outcome(poller.poll, 0) == CONCURRENT:
            action, *actions = pending
            action()
        else:
            actions = pending

    return handler


@contextmanager
def when_garbage_is_collected(call):
    """Makes the call when a collection starts. Before Python 3.12, a new tuple can start one."""

    def on_collection(phase, _):
        if phase == "start":
            gc.callbacks.remove(on_collection)
            call()

    # Uses up the free list of tuples, so that new ones are allocated.
    tuples = [(n, n) for n in range(5000)]
    before = gc.get_threshold()
    gc.callbacks.append(on_collection)
    gc.set_threshold(1)
    yield
    gc.set_threshold(*before)
    del tuples


class Child:
    """Makes the call in a forked child."""

    def __init__(self, call, *args):
        self.reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            signal.alarm(30)
            try:
                os.write(writer, pickle.dumps(outcome(call, *args)))
            finally:
                os._exit(0)
        os.close(writer)

    def outcome(self):
        with os.fdopen(self.reader, "rb") as pipe:
            received = pipe.read()
        _, status = os.waitpid(self.pid, 0)
        assert status == 0, "the child was killed"
        return pickle.loads(received)


def in_child(call, *args):
    """The outcome of the call in a forked child."""
    return Child(call, *args).outcome()


def seconds_of(call, *args):
    """The duration of the call in seconds, and its result."""
    begin = time.monotonic()
    result = call(*args)
    return time.monotonic() - begin, result
