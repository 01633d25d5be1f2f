"""io_uring, eventfd and timerfd."""

import ctypes
import os
import struct
import time

from .program import ERR, IN, OUT, Register, libc, now, program, soon, system_call


class Ring:
    """io_uring with one submission queue entry and two completion queue entries."""

    sqpoll, wakeup, need_wakeup = 2, 2, 1

    def __init__(self, resources, flags=0, idle=1):
        parameters = bytearray(struct.pack("10I80x", 0, 0, flags, 0, idle, 0, 0, 0, 0, 0))
        buffer = (ctypes.c_char * len(parameters)).from_buffer(parameters)
        self.fd = resources.fd(system_call("io_uring_setup", 1, buffer))
        entries = struct.unpack_from("2I", parameters)
        self.sq = struct.unpack_from("7I", parameters, 40)
        self.cq = struct.unpack_from("7I", parameters, 80)
        size = max(self.sq[6] + 4 * entries[0], self.cq[5] + 16 * entries[1])
        self.rings = resources.map(self.fd, size)
        # The submission queue entry is all zero, which is IORING_OP_NOP.

    def get(self, place):
        return struct.unpack_from("I", self.rings, place)[0]

    def add(self, place, number):
        struct.pack_into("I", self.rings, place, (self.get(place) + number) % 2**32)

    def fill(self):
        self.add(self.sq[1], 1)

    def enter(self, flags=0):
        system_call("io_uring_enter", self.fd, 1, 0, flags, None, 0)

    def take(self, number):
        """Moves the head of the completion queue."""
        self.add(self.cq[0], number)


@program
def io_uring_whose_full_queue_is_submitted(resources):
    ring = Ring(resources)
    yield Register(ring.fd, OUT)
    yield now(OUT)
    ring.fill()
    yield now(0)
    ring.enter()
    yield soon(OUT)


@program
def io_uring_whose_full_queue_is_emptied_by_the_kernel(resources):
    ring = Ring(resources, flags=Ring.sqpoll)
    deadline = time.monotonic() + 5
    while not ring.get(ring.sq[4]) & Ring.need_wakeup:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    yield Register(ring.fd, OUT)
    yield now(OUT)
    ring.fill()
    yield now(0)
    ring.enter(Ring.wakeup)
    yield soon(OUT)


@program
def io_uring_whose_completions_are_given_back(resources):
    ring = Ring(resources)
    yield Register(ring.fd, IN)
    yield now(0)
    ring.fill()
    ring.enter()
    yield soon(IN)
    ring.take(1)
    yield now(0)
    ring.take(-1)
    yield soon(IN)


FULL = 2**64 - 2


@program
def eventfd_beyond_its_maximum_by_io_uring(resources):
    fd = resources.eventfd(FULL)
    ring = Ring(resources)
    system_call("io_uring_register", ring.fd, 4, struct.pack("i", fd), 1)
    yield Register(fd, OUT)
    yield now(0)
    ring.fill()
    ring.enter()
    yield soon(ERR)


@program
def eventfd_beyond_its_maximum_by_aio(resources):
    fd = resources.eventfd(FULL)
    zero = resources.open("/dev/zero", os.O_RDONLY)
    context = ctypes.c_ulong()
    system_call("io_setup", 1, ctypes.byref(context))
    resources.callback(system_call, "io_destroy", context)
    into = ctypes.create_string_buffer(8)
    block = struct.pack("QIIHhIQQqQII", 0, 0, 0, 0, 0, zero, ctypes.addressof(into), 8, 0, 0, 1, fd)
    block = ctypes.create_string_buffer(block)
    yield Register(fd, 0)
    yield now(0)
    system_call("io_submit", context, 1, ctypes.byref(ctypes.pointer(block)))
    yield soon(ERR)


@program
def eventfd_at_its_maximum(resources):
    fd = resources.eventfd()
    yield Register(fd, IN | OUT)
    yield now(OUT)
    os.write(fd, struct.pack("Q", FULL))
    yield soon(IN)
    os.read(fd, 8)
    yield soon(OUT)


def timerfd(resources, seconds):
    fd = resources.fd(libc("timerfd_create", time.CLOCK_MONOTONIC, os.O_CLOEXEC | os.O_NONBLOCK))
    set_timer(fd, seconds)
    return fd


def set_timer(fd, seconds):
    at = struct.pack("4l", 0, 0, int(seconds), int(seconds % 1 * 1e9))
    libc("timerfd_settime", fd, 0, at, None)


@program
def timerfd_set_again(resources):
    fd = timerfd(resources, 100)
    yield Register(fd, IN)
    yield now(0)
    set_timer(fd, 0.01)
    yield soon(IN)
    set_timer(fd, 100)
    yield now(0)
    set_timer(fd, 0.000001)
    yield soon(IN)
