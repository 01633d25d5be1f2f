"""The type of a program, its steps, and helpers for programs."""

import ctypes
import mmap
import os
import platform
import select
import socket
import struct
import tempfile
import time
from contextlib import ExitStack, suppress
from typing import Callable, NamedTuple

IN, PRI, OUT = select.POLLIN, select.POLLPRI, select.POLLOUT
ERR, HUP, NVAL = select.POLLERR, select.POLLHUP, select.POLLNVAL

TCP, MPTCP = socket.IPPROTO_TCP, 262

# From <linux/sched.h>.
NEW_NS, NEW_UTS, NEW_NET = 0x00020000, 0x04000000, 0x40000000


class Register(NamedTuple):
    """Register `fd`, and other descriptors whose events are ignored."""

    fd: int
    mask: int
    others: tuple = ()


class Wait(NamedTuple):
    """Wait up to `timeout` milliseconds and expect `events`, or no event if that is 0."""

    timeout: int
    events: int
    in_thread: bool = False


def now(events):
    return Wait(0, events)


def soon(events):
    return Wait(300, events)


def in_thread(events):
    """Wait in another thread."""
    return Wait(0, events, in_thread=True)


class Unsupported(Exception):
    """This machine can't make such a file."""


class Program(NamedTuple):
    steps: Callable
    unshare: int  # flags of the namespaces to create for it
    once: bool  # the first poll(2) clears the event

    def __str__(self):
        return self.steps.__name__


PROGRAMS = []


def program(steps=None, *, unshare=0, once=False):
    def add(steps):
        PROGRAMS.append(Program(steps, unshare, once))
        return steps

    return add if steps is None else add(steps)


class Resources(ExitStack):
    """The open files and other resources of a program."""

    def fd(self, fd):
        self.callback(os.close, fd)
        return fd

    def open(self, path, flags):
        return self.fd(os.open(path, flags | os.O_CLOEXEC))

    def pipe(self, flags=0):
        return tuple(self.fd(fd) for fd in os.pipe2(flags | os.O_CLOEXEC))

    def eventfd(self, count=0):
        fd = self.fd(libc("eventfd", 0, os.O_CLOEXEC | os.O_NONBLOCK))
        if count:
            os.write(fd, struct.pack("Q", count))
        return fd

    def socket(self, *arguments):
        return self.enter_context(socket.socket(*arguments))

    def socket_pair(self, *arguments):
        return tuple(self.enter_context(end) for end in socket.socketpair(*arguments))

    def connection(self, protocol=TCP, listener=None):
        """The accepted socket, and the client's."""
        listener = listener or self.listener(protocol)
        client = self.socket(socket.AF_INET, socket.SOCK_STREAM, protocol)
        client.settimeout(20)
        client.connect(listener.getsockname())
        accepted, _ = listener.accept()
        return self.enter_context(accepted), client

    def listener(self, protocol=TCP):
        listener = self.socket(socket.AF_INET, socket.SOCK_STREAM, protocol)
        listener.settimeout(20)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        return listener

    def directory(self):
        return self.enter_context(tempfile.TemporaryDirectory())

    def map(self, fd, size, offset=0, prot=mmap.PROT_READ | mmap.PROT_WRITE):
        mapped = mmap.mmap(fd, size, mmap.MAP_SHARED, prot, offset=offset)
        self.callback(mapped.close)
        return mapped


C = ctypes.CDLL(None, use_errno=True)


def argument(value):
    """Passes integers as C longs, the type of system call arguments."""
    return ctypes.c_long(value) if isinstance(value, int) else value


def libc(name, *arguments):
    try:
        function = getattr(C, name)
    except AttributeError:
        raise Unsupported(f"the C library has no {name}") from None
    function.restype = ctypes.c_long if name == "syscall" else ctypes.c_int
    result = function(*map(argument, arguments))
    if result == -1:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")
    return result


NUMBERS = {
    "io_setup": {"x86_64": 206, "aarch64": 0},
    "io_destroy": {"x86_64": 207, "aarch64": 1},
    "io_submit": {"x86_64": 209, "aarch64": 2},
    "perf_event_open": {"x86_64": 298, "aarch64": 241},
    "seccomp": {"x86_64": 317, "aarch64": 277},
    "bpf": {"x86_64": 321, "aarch64": 280},
    "userfaultfd": {"x86_64": 323, "aarch64": 282},
    "exit": {"x86_64": 60, "aarch64": 93},
    "getppid": {"x86_64": 110, "aarch64": 173},
    "fanotify_mark": {"x86_64": 301, "aarch64": 263},
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "fsopen": 430,
    "fsconfig": 431,
    "pidfd_open": 434,
}


def system_call(name, *arguments):
    number = NUMBERS[name]
    if isinstance(number, dict):
        try:
            number = number[platform.machine()]
        except KeyError:
            raise Unsupported(f"the number of {name} is unknown on this machine") from None
    return libc("syscall", number, *arguments)


def write_file(path, text):
    with open(path, "w") as file:
        file.write(text)


def fill(fd, size=4096):
    """Writes until the file is full. Returns whether it wrote anything."""
    os.set_blocking(fd, False)
    written = 0
    with suppress(BlockingIOError):
        while True:
            written += os.write(fd, bytes(size))
    return written > 0


def fill_until_stable(fd, size=4096):
    """Like fill(), for files that the kernel goes on draining for a while."""
    idle = 0
    while idle < 5:
        idle = 0 if fill(fd, size) else idle + 1
        time.sleep(0.05)
