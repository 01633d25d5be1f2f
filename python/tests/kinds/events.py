"""Page faults, perf, epoll and bpf."""

import ctypes
import fcntl
import mmap
import os
import select
import signal
import struct
import threading

from .processes import blocked, signalfd
from .program import ERR, IN, OUT, Register, now, program, soon, system_call

UFFD_API, UFFD_NEW = 0xC018AA3F, 0xAA00


def fault_descriptor_made_blocking(fd):
    fcntl.ioctl(fd, UFFD_API, struct.pack("3Q", 0xAA, 0, 0))
    yield Register(fd, IN)
    yield now(0)
    fcntl.fcntl(fd, fcntl.F_SETFL, 0)
    yield soon(ERR)


@program
def userfaultfd_made_blocking(resources):
    fd = resources.fd(system_call("userfaultfd", os.O_CLOEXEC | os.O_NONBLOCK | 1))
    yield from fault_descriptor_made_blocking(fd)


@program
def userfaultfd_of_the_device_made_blocking(resources):
    device = resources.open("/dev/userfaultfd", os.O_RDWR)
    fd = resources.fd(fcntl.ioctl(device, UFFD_NEW, os.O_CLOEXEC | os.O_NONBLOCK))
    yield from fault_descriptor_made_blocking(fd)


@program
def userfaultfd_before_the_handshake(resources):
    fd = resources.fd(system_call("userfaultfd", os.O_CLOEXEC | os.O_NONBLOCK | 1))
    yield Register(fd, IN)
    yield now(ERR)
    fcntl.ioctl(fd, UFFD_API, struct.pack("3Q", 0xAA, 0, 0))
    yield now(0)
    fcntl.fcntl(fd, fcntl.F_SETFL, 0)
    yield soon(ERR)


class PageFaults:
    """A perf event that counts page faults of this thread, and reports IN once for each."""

    def __init__(self, resources):
        software, page_faults, disabled = 1, 2, 1
        attributes = struct.pack(
            "2I5Q2I2Q", software, 72, page_faults, 1, 1, 0, disabled, 1, 0, 0, 0
        )
        flag_close_on_exec = 8
        attributes = ctypes.create_string_buffer(attributes, 72)
        self.fd = resources.fd(
            system_call("perf_event_open", attributes, 0, -1, -1, flag_close_on_exec)
        )
        resources.map(self.fd, 8192)

    def trigger(self):
        fresh = mmap.mmap(-1, 4096)
        fcntl.ioctl(self.fd, 0x2400, 0)  # enable
        fresh[0] = 1
        fcntl.ioctl(self.fd, 0x2401, 0)  # disable
        fresh.close()


@program
def perf_event(resources):
    faults = PageFaults(resources)
    yield Register(faults.fd, IN)
    yield now(0)
    for _ in range(3):
        faults.trigger()
        yield soon(IN)
        yield now(0)


@program(once=True)
def perf_event_pending_when_registered(resources):
    faults = PageFaults(resources)
    faults.trigger()
    yield Register(faults.fd, IN)
    yield soon(IN)
    yield now(0)


@program
def perf_event_among_many_that_are_ready(resources):
    faults = PageFaults(resources)
    others = tuple(resources.pipe() for _ in range(80))
    yield Register(faults.fd, IN, tuple(reader for reader, _ in others))
    yield now(0)
    faults.trigger()
    for _, writer in others:
        os.write(writer, b"x")
    yield soon(IN)
    yield now(0)


@program(once=True)
def epoll_of_a_perf_event_that_is_pending(resources):
    faults = PageFaults(resources)
    inner = resources.enter_context(select.epoll())
    inner.register(faults.fd, select.EPOLLIN)
    faults.trigger()
    yield Register(inner.fileno(), IN)
    yield soon(IN)


@program
def epoll_of_a_perf_event(resources):
    faults = PageFaults(resources)
    inner = resources.enter_context(select.epoll())
    inner.register(faults.fd, select.EPOLLIN)
    yield Register(inner.fileno(), IN)
    yield now(0)
    faults.trigger()
    yield soon(IN)


@program
def epoll_of_a_signalfd(resources):
    resources.enter_context(blocked(signal.SIGUSR1))
    fd = resources.fd(signalfd([signal.SIGUSR1]))
    inner = resources.enter_context(select.epoll())
    inner.register(fd, select.EPOLLIN)
    yield Register(inner.fileno(), IN)
    yield now(0)
    signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
    yield soon(IN)


@program
def epoll_of_epoll(resources):
    reader, writer = resources.pipe()
    inner, middle = (resources.enter_context(select.epoll()) for _ in range(2))
    inner.register(reader, select.EPOLLIN)
    middle.register(inner, select.EPOLLIN)
    yield Register(middle.fileno(), IN)
    yield now(0)
    os.write(writer, b"x")
    yield soon(IN)
    os.read(reader, 1)
    yield now(0)
    inner.modify(reader, select.EPOLLIN | select.EPOLLONESHOT)
    os.write(writer, b"x")
    yield soon(IN)
    inner.poll(0)
    yield now(0)
    inner.modify(reader, select.EPOLLIN)
    yield soon(IN)


def bpf_map(resources, kind, key=0, value=0, entries=4096):
    attributes = ctypes.create_string_buffer(struct.pack("5I", kind, key, value, entries, 0), 128)
    return resources.fd(system_call("bpf", 0, attributes, 128))


@program
def bpf_ring_whose_position_is_changed_in_memory(resources):
    fd = bpf_map(resources, 27)
    consumer = resources.map(fd, 4096)
    yield Register(fd, IN)
    yield now(0)
    consumer[:8] = struct.pack("q", -8)
    yield soon(IN)


@program
def bpf_ring_of_the_user_emptied_in_memory(resources):
    fd = bpf_map(resources, 31)
    producer = resources.map(fd, 4096, offset=4096)
    producer[:8] = struct.pack("q", 4096)
    yield Register(fd, OUT)
    yield now(0)
    producer[:8] = struct.pack("q", 0)
    yield soon(OUT)


@program
def bpf_map_without_poll(resources):
    fd = bpf_map(resources, 1, key=4, value=4, entries=1)
    yield Register(fd, IN | OUT)
    yield now(ERR)
