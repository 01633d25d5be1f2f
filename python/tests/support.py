"""What the tests have in common."""

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

# The largest number that can be registered; no limit lets it be open.
NOT_OPEN = 2**31 - 1


class Raised(NamedTuple):
    type: type
    text: str


CONCURRENT = Raised(RuntimeError, "concurrent poll() invocation")


def outcome(call, *args, **kwargs):
    """What the call returned, or what it raised: something to compare."""
    try:
        return call(*args, **kwargs)
    except Exception as error:
        return Raised(type(error), str(error))


class Pair:
    """What the running Python has, and ours: the same is asked of both, and answered alike."""

    def __init__(self, theirs, ours):
        self.theirs, self.ours = theirs, ours

    def __getattr__(self, method):
        def both(*args, **kwargs):
            expected = outcome(getattr(self.theirs, method), *args, **kwargs)
            assert outcome(getattr(self.ours, method), *args, **kwargs) == expected
            return expected

        return both


def open_descriptors():
    return os.listdir("/proc/self/fd")


def open_files():
    """What each descriptor of this process means."""
    files = {fd: outcome(os.readlink, f"/proc/self/fd/{fd}") for fd in open_descriptors()}
    return {fd: file for fd, file in files.items() if isinstance(file, str)}  # not what listed them


class HasFileno:
    def __init__(self, fd):
        self.fd = fd

    def fileno(self):
        return self.fd


class Index:
    """An integer only by way of `__index__`."""

    def __init__(self, value):
        self.value = value

    def __index__(self):
        return self.value

    def __repr__(self):
        return f"Index({self.value!r})"


class Descriptors:
    """Opens descriptors, and closes in the end what is still open."""

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
        """One for each state that poll(2) tells from the others."""
        half_closed, shutting = socket.socketpair()
        shutting.shutdown(socket.SHUT_WR)
        peerless, gone = socket.socketpair()
        gone.close()
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
        sockets = (half_closed, shutting, peerless, listener, urgent, accepted, socket.socket())
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
        """Moves what is open as `fd` to `number`."""
        os.dup2(fd, number)
        self.close(fd)
        self.keep(number)


def until(condition, seconds=20):
    """Waits for what happens sooner or later."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it has not happened"
        time.sleep(0.005)


@contextmanager
def waiting(poller, *timeout):
    """Another thread is in `poll()` meanwhile, and gives what that answers as a future."""
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(poller.poll, *timeout)
        time.sleep(0.01)  # for it would be the concurrent one, if it came during the first question
        until(lambda: outcome(poller.poll, 0) == CONCURRENT)
        yield answer


@contextmanager
def later(call, *args, seconds=0.05):
    """Another thread makes the call in a moment."""
    timer = threading.Timer(seconds, call, args)
    timer.start()
    try:
        yield
    finally:
        timer.join()


@contextmanager
def alarms(handler, interval=0.02):
    """`handler` is called for a signal now and then."""
    before = signal.signal(signal.SIGALRM, lambda *_: handler())
    try:
        signal.setitimer(signal.ITIMER_REAL, interval, interval)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def during_a_wait(poller, *actions):
    """A handler that takes one of the actions for each signal that comes during a wait."""

    def handler():
        nonlocal actions
        # Meanwhile there are none, for a signal that comes in the middle of this.
        todo, actions = actions, ()
        if todo and outcome(poller.poll, 0) == CONCURRENT:
            action, *actions = todo
            action()
        else:
            actions = todo

    return handler


@contextmanager
def when_garbage_is_collected(call):
    """The call is made when a collection begins, as a new tuple makes it do before Python 3.12."""

    def on_collection(phase, _):
        if phase == "start":
            gc.callbacks.remove(on_collection)
            call()

    used_up = [(n, n) for n in range(5000)]  # tuples that lie about, so that new ones count
    before = gc.get_threshold()
    gc.callbacks.append(on_collection)
    gc.set_threshold(1)
    yield
    gc.set_threshold(*before)
    del used_up


class Child:
    """A forked child that makes the call."""

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
        with os.fdopen(self.reader, "rb") as answer:
            received = answer.read()
        _, status = os.waitpid(self.pid, 0)
        assert status == 0, "the child was killed"
        return pickle.loads(received)


def in_child(call, *args):
    """The outcome of the call in a forked child."""
    return Child(call, *args).outcome()


def seconds_of(call, *args):
    """How long the call took, and what it answered."""
    begin = time.monotonic()
    answer = call(*args)
    return time.monotonic() - begin, answer
