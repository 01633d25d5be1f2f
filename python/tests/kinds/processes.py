"""Signals and processes."""

import ctypes
import os
import signal
import threading
import time
from contextlib import contextmanager

from .program import HUP, IN, Register, in_thread, libc, now, program, soon, system_call


@contextmanager
def blocked(*signals):
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        while signal.sigtimedwait(signals, 0):
            pass
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def signalfd(signals, fd=-1):
    mask = (ctypes.c_ulong * (1024 // 8 // ctypes.sizeof(ctypes.c_ulong)))()
    for number in signals:
        mask[0] |= 1 << (number - 1)
    return libc("signalfd", fd, mask, os.O_CLOEXEC | os.O_NONBLOCK)


@program
def signalfd_of_a_signal_for_one_thread(resources):
    resources.enter_context(blocked(signal.SIGUSR1))
    fd = resources.fd(signalfd([signal.SIGUSR1]))
    yield Register(fd, IN)
    yield now(0)
    signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
    yield in_thread(0)
    yield soon(IN)


@program
def signalfd_whose_mask_is_changed(resources):
    resources.enter_context(blocked(signal.SIGUSR1, signal.SIGUSR2))
    fd = resources.fd(signalfd([signal.SIGUSR1]))
    yield Register(fd, IN)
    # Not to the process: a thread of another test may be about to exit, and not block it.
    signal.pthread_kill(threading.get_ident(), signal.SIGUSR2)
    yield now(0)
    signalfd([signal.SIGUSR2], fd)
    yield soon(IN)


@program
def signalfd_registered_by_a_thread_that_has_ended(resources):
    resources.enter_context(blocked(signal.SIGUSR1))
    fd = resources.fd(signalfd([signal.SIGUSR1]))
    yield Register(fd, IN)
    yield in_thread(0)
    signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
    yield soon(IN)
    os.read(fd, 128)
    yield now(0)
    os.kill(os.getpid(), signal.SIGUSR1)
    yield soon(IN)


class Forked:
    """A child process that exits after go(), or is killed by reap()."""

    def __init__(self, resources, action=None):
        reader, self.writer = resources.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                signal.alarm(30)
                os.close(self.writer)
                os.read(reader, 1)
                if action:
                    action()
            finally:
                os._exit(0)
        resources.callback(self.reap)

    def go(self):
        os.write(self.writer, b"x")

    def reap(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0


def pidfd_that_ends(resources, flags, mask, seen, reaped):
    child = Forked(resources)
    fd = resources.fd(system_call("pidfd_open", child.pid, flags))
    yield Register(fd, mask)
    yield now(0)
    child.go()
    if seen:
        yield soon(seen)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    yield soon(seen) if seen else now(0)
    child.reap()
    yield soon(reaped)


PIDFD_THREAD = os.O_EXCL


@program
def pidfd(resources):
    return pidfd_that_ends(resources, 0, IN, IN, IN | HUP)


@program
def pidfd_of_a_thread(resources):
    return pidfd_that_ends(resources, PIDFD_THREAD, IN, IN, IN | HUP)


@program
def pidfd_with_mask_0(resources):
    return pidfd_that_ends(resources, 0, 0, 0, HUP)


@program
def pidfd_of_one_thread_of_many(resources):
    go = threading.Event()
    thread = threading.Thread(target=go.wait, args=[20])
    thread.start()
    resources.callback(thread.join)
    resources.callback(go.set)
    fd = resources.fd(system_call("pidfd_open", thread.native_id, PIDFD_THREAD))
    yield Register(fd, 0)
    yield now(0)
    go.set()
    yield soon(HUP)


@program
def pidfd_whose_first_thread_ends_first(resources):
    def leave():
        second = threading.Thread(target=time.sleep, args=[0.15])
        second.start()
        system_call("exit", 0)  # only this thread

    child = Forked(resources, leave)
    fd = resources.fd(system_call("pidfd_open", child.pid, 0))
    yield Register(fd, IN)
    yield now(0)
    child.go()
    time.sleep(0.05)
    yield now(0)
    yield soon(IN)
