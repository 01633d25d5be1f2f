"""Programs that change what poll(2) says about a descriptor, for many kinds of files.

Each program is a generator. It makes a file, and yields steps: what to register, and what an answer
must say about it. What it opens goes to an `ExitStack` of its own, so that nothing is left.
"""

import ctypes
import fcntl
import mmap
import os
import platform
import select
import signal
import socket
import struct
import tempfile
import termios
import threading
import time
import tty
from contextlib import ExitStack, contextmanager, suppress
from typing import Callable, NamedTuple

IN, PRI, OUT = select.POLLIN, select.POLLPRI, select.POLLOUT
ERR, HUP, NVAL = select.POLLERR, select.POLLHUP, select.POLLNVAL

TCP, MPTCP = socket.IPPROTO_TCP, 262

# From <linux/sched.h>.
NEW_NS, NEW_UTS, NEW_NET = 0x00020000, 0x04000000, 0x40000000


class Register(NamedTuple):
    """Register `fd`, and some others whose answers don't matter."""

    fd: int
    mask: int
    beside: tuple = ()


class Ask(NamedTuple):
    """Wait up to `timeout` milliseconds: the answer must say `events`; 0 if it must not name it."""

    timeout: int
    events: int
    elsewhere: bool = False


def now(events):
    return Ask(0, events)


def soon(events):
    return Ask(300, events)


def elsewhere(events):
    """Another thread asks."""
    return Ask(0, events, elsewhere=True)


class Missing(Exception):
    """This machine can't make such a file."""


class Program(NamedTuple):
    steps: Callable
    unshare: int  # the namespaces that it needs for itself
    once: bool  # the first question consumes the answer

    def __str__(self):
        return self.steps.__name__


PROGRAMS = []


def program(steps=None, *, unshare=0, once=False):
    def add(steps):
        PROGRAMS.append(Program(steps, unshare, once))
        return steps

    return add if steps is None else add(steps)


class Things(ExitStack):
    """What a program holds open."""

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
        """The accepted end, and the connecting one."""
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
    """An integer goes to C as a long one: a system call takes it so."""
    return ctypes.c_long(value) if isinstance(value, int) else value


def libc(name, *arguments):
    try:
        function = getattr(C, name)
    except AttributeError:
        raise Missing(f"the C library has no {name}") from None
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
            raise Missing(f"the number of {name} is not known here") from None
    return libc("syscall", number, *arguments)


def written(path, text):
    with open(path, "w") as file:
        file.write(text)


def fill(fd, size=4096):
    """Writes until there is no room, and tells whether there was any."""
    os.set_blocking(fd, False)
    written = 0
    with suppress(BlockingIOError):
        while True:
            written += os.write(fd, bytes(size))
    return written > 0


def fill_to_the_end(fd, size=4096):
    """The same for what moves on by itself for a while."""
    idle = 0
    while idle < 5:
        idle = 0 if fill(fd, size) else idle + 1
        time.sleep(0.05)


# Network devices.


def interface_up(name):
    get_flags, set_flags, up = 0x8913, 0x8914, 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sh22x", name, 0)
        _, flags = struct.unpack("16sh22x", fcntl.ioctl(sock, get_flags, request))
        fcntl.ioctl(sock, set_flags, struct.pack("16sh22x", name, flags | up))


def send_through(name, data):
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as sock:
        sock.sendto(data, (name.decode(), 0x0800, 0, 0, b"\xff" * 6))


SET_INTERFACE, SET_QUEUE = 0x400454CA, 0x400454D9
TUN, TAP, NO_HEADER, MANY_QUEUES = 0x0001, 0x0002, 0x1000, 0x0100
ATTACH, DETACH = 0x0200, 0x0400


def tunnel(things, flags):
    fd = things.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    yield Register(fd, IN)
    yield now(ERR)
    fcntl.ioctl(fd, SET_INTERFACE, struct.pack("16sH22x", b"t0", flags | NO_HEADER))
    yield now(0)
    interface_up(b"t0")
    send_through(b"t0", bytes(20))
    yield soon(IN)


@program(unshare=NEW_NET)
def tun(things):
    return tunnel(things, TUN)


@program(unshare=NEW_NET)
def tap(things):
    return tunnel(things, TAP)


@program(unshare=NEW_NET)
def tun_queue_attached_again(things):
    fd = things.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    interface = struct.pack("16sH22x", b"t0", TUN | NO_HEADER | MANY_QUEUES)
    fcntl.ioctl(fd, SET_INTERFACE, interface)
    fcntl.ioctl(fd, SET_QUEUE, struct.pack("16sH22x", b"", DETACH))
    yield Register(fd, IN)
    yield now(0)
    fcntl.ioctl(fd, SET_QUEUE, struct.pack("16sH22x", b"", ATTACH))
    yield now(0)
    interface_up(b"t0")
    send_through(b"t0", bytes(20))
    yield soon(IN)


# TCP.


@program
def tcp_urgent_byte_becomes_inline(things):
    accepted, client = things.connection()
    yield Register(accepted.fileno(), IN)
    yield now(0)
    client.send(b"!", socket.MSG_OOB)
    time.sleep(0.02)
    yield now(0)
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    yield soon(IN)


@program
def tcp_urgent_byte_becomes_inline_after_the_data_before_it(things):
    accepted, client = things.connection()
    client.send(b"data")
    client.send(b"!", socket.MSG_OOB)
    yield Register(accepted.fileno(), IN)
    yield soon(IN)
    assert accepted.recv(100) == b"data"
    yield now(0)
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    yield soon(IN)


@program
def tcp_receive_buffer_made_smaller(things):
    """What is there is enough once the buffer is nearly full with it."""
    accepted, client = things.connection()
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 30_000)
    client.sendall(bytes(20_000))
    time.sleep(0.02)
    yield Register(accepted.fileno(), IN)
    yield now(0)
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    yield soon(IN)


def low_water_mark_lowered(things, protocol):
    accepted, client = things.connection(protocol)
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1000)
    client.sendall(bytes(500))
    time.sleep(0.02)
    yield Register(accepted.fileno(), IN)
    yield now(0)
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 100)
    yield soon(IN)


@program
def tcp_low_water_mark_lowered(things):
    return low_water_mark_lowered(things, TCP)


TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE, TCP_REPAIR_WINDOW = 19, 20, 1, 29
REPAIR_OFF = -1


@contextmanager
def repair(sock):
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    try:
        yield
    finally:
        sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, REPAIR_OFF)


@program
def tcp_data_put_into_the_receive_queue_by_repair(things):
    accepted, _ = things.connection()
    yield Register(accepted.fileno(), IN)
    yield now(0)
    with repair(accepted):
        accepted.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE)
        accepted.send(b"data")
    yield soon(IN)


@program
def tcp_window_closed_by_repair(things):
    """Less than all is enough once the peer can't send more."""
    accepted, client = things.connection()
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1000)
    client.sendall(bytes(500))
    time.sleep(0.02)
    yield Register(accepted.fileno(), IN)
    yield now(0)
    with repair(accepted):
        window = accepted.getsockopt(socket.IPPROTO_TCP, TCP_REPAIR_WINDOW, 20)
        left, length, most, _, right = struct.unpack("5I", window)
        window = struct.pack("5I", left, length, most, 0, right)
        accepted.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_WINDOW, window)
    yield soon(IN)


def full_to_the_mark(things, protocol):
    """A socket that is not writable because of its limit on what isn't sent yet."""
    _, client = things.connection(protocol)
    fill_to_the_end(client.fileno(), 100_000)
    return client


TCP_NOTSENT_LOWAT = 25
NOTSENT = "/proc/sys/net/ipv4/tcp_notsent_lowat"


def mark_raised_by_sysctl(things, protocol):
    interface_up(b"lo")
    written(NOTSENT, "4096")
    client = full_to_the_mark(things, protocol)
    yield Register(client.fileno(), OUT)
    yield now(0)
    written(NOTSENT, "4294967295")
    yield soon(OUT)


@program(unshare=NEW_NET)
def tcp_mark_of_unsent_data_raised_by_sysctl(things):
    return mark_raised_by_sysctl(things, TCP)


def mark_raised(things, protocol):
    interface_up(b"lo")
    written(NOTSENT, "4096")
    client = full_to_the_mark(things, protocol)
    yield Register(client.fileno(), OUT)
    yield now(0)
    client.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, 1 << 30)
    yield soon(OUT)


@program(unshare=NEW_NET)
def tcp_mark_of_unsent_data_raised(things):
    return mark_raised(things, TCP)


def send_buffer_enlarged(things, protocol):
    _, client = things.connection(protocol)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 10_000)
    fill_to_the_end(client.fileno())
    yield Register(client.fileno(), OUT)
    yield now(0)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 200_000)
    yield soon(OUT)


@program
def tcp_send_buffer_enlarged(things):
    return send_buffer_enlarged(things, TCP)


def waiting_client_moved(things, protocol):
    """A listener that is closed leaves its clients to another one of its group."""
    interface_up(b"lo")
    written("/proc/sys/net/ipv4/tcp_migrate_req", "1")
    listeners, address = [], ("127.0.0.1", 0)
    for _ in range(2):
        listener = things.socket(socket.AF_INET, socket.SOCK_STREAM, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
        listener.listen()
        listeners.append(listener)
        address = listener.getsockname()
    client = things.socket(socket.AF_INET, socket.SOCK_STREAM, protocol)
    client.settimeout(20)
    client.connect(address)
    judge = select.poll()
    for listener in listeners:
        judge.register(listener, IN)
    ready = [fd for fd, _ in judge.poll(1000)]
    other = next(listener for listener in listeners if listener.fileno() not in ready)
    closed = next(listener for listener in listeners if listener.fileno() in ready)
    yield Register(other.fileno(), IN)
    yield now(0)
    closed.close()
    yield soon(IN)


@program(unshare=NEW_NET)
def tcp_client_moved_from_a_closed_listener(things):
    return waiting_client_moved(things, TCP)


@program
def tcp_time_stamp_in_the_error_queue(things):
    accepted, _ = things.connection()
    accepted.setsockopt(socket.SOL_SOCKET, 37, 1 << 1 | 1 << 4)  # SO_TIMESTAMPING: TX_SOFTWARE
    yield Register(accepted.fileno(), IN)
    yield now(0)
    accepted.send(b"data")
    yield soon(ERR)


@program
def tcp_zero_copy_completed(things):
    accepted, client = things.connection()
    accepted.setsockopt(socket.SOL_SOCKET, 60, 1)  # SO_ZEROCOPY
    yield Register(accepted.fileno(), 0)
    for _ in range(3):
        yield now(0)
        accepted.send(bytes(20_000), 0x4000000)  # MSG_ZEROCOPY
        received = 0
        while received < 20_000:
            received += len(client.recv(20_000))
        yield soon(ERR)
        accepted.recvmsg(1, 100, socket.MSG_ERRQUEUE)


@program
def tcp_listener_shut_down(things):
    listener = things.listener()
    yield Register(listener.fileno(), 0)
    yield now(0)
    listener.shutdown(socket.SHUT_RD)
    yield soon(HUP)


@program
def tcp_disconnected_by_its_own_side(things):
    accepted, _ = things.connection()
    yield Register(accepted.fileno(), 0)
    yield now(0)
    libc("connect", accepted.fileno(), struct.pack("H14x", socket.AF_UNSPEC), 16)
    yield soon(ERR | HUP)


# Other sockets.


def queue_of_peer_full(things):
    """Two datagram sockets with names, of which the first can't send to the second."""
    directory = things.directory()
    one, other = (things.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
    one.bind(os.path.join(directory, "one"))
    other.bind(os.path.join(directory, "other"))
    one.connect(other.getsockname())
    fill(one.fileno(), 1)
    return one, other


@program
def unix_datagram_peer_connects_back(things):
    one, other = queue_of_peer_full(things)
    yield Register(one.fileno(), OUT)
    yield now(0)
    other.connect(one.getsockname())
    yield soon(OUT)


@program
def unix_datagram_peer_leaves_another_and_connects_back(things):
    one, other = queue_of_peer_full(things)
    third = things.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    third.bind(one.getsockname() + "-third")
    other.connect(third.getsockname())
    yield Register(one.fileno(), OUT)
    yield now(0)
    other.connect(one.getsockname())
    yield soon(OUT)


@program
def unix_datagram_connected_to_the_same_peer_again(things):
    one, other = queue_of_peer_full(things)
    yield Register(one.fileno(), OUT)
    yield now(0)
    one.connect(other.getsockname())
    yield now(0)
    other.recv(1)
    yield soon(OUT)


@program
def unix_datagram_peer_reads(things):
    one, other = queue_of_peer_full(things)
    yield Register(one.fileno(), OUT)
    for _ in range(3):
        yield now(0)
        other.recv(1)
        yield soon(OUT)
        one.send(b"x")


@program
def unix_datagram_peer_goes(things):
    one, other = queue_of_peer_full(things)
    yield Register(one.fileno(), OUT)
    yield now(0)
    other.close()
    yield soon(OUT)


@program
def unix_stream_urgent_byte(things):
    one, other = things.socket_pair()
    yield Register(one.fileno(), IN | PRI)
    yield now(0)
    try:
        other.send(b"!", socket.MSG_OOB)
    except OSError as error:
        raise Missing("no urgent data on Unix sockets") from error
    yield soon(IN | PRI)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    yield soon(IN | PRI)
    assert one.recv(1) == b"!"
    yield now(0)
    other.send(b"x")
    yield soon(IN)


@program
def unix_stream_send_buffer_enlarged(things):
    one, _ = things.socket_pair()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 10_000)
    fill(one.fileno())
    yield Register(one.fileno(), OUT)
    yield now(0)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 500_000)
    yield soon(OUT)


@program(unshare=NEW_NET)
def udp_error_of_a_datagram_that_was_refused(things):
    interface_up(b"lo")
    sock = things.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.IPPROTO_IP, 11, 1)  # IP_RECVERR
    sock.connect(("127.0.0.1", 9))
    yield Register(sock.fileno(), 0)
    yield now(0)
    sock.send(b"x")
    yield soon(ERR)
    sock.recv(100, socket.MSG_ERRQUEUE)
    with suppress(ConnectionRefusedError):
        sock.send(b"x")
    sock.recv(100, socket.MSG_ERRQUEUE)
    sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    yield now(0)


@program
def udp_shut_down(things):
    sock = things.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    yield Register(sock.fileno(), IN)
    yield now(0)
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    yield soon(IN | HUP)


@program(unshare=NEW_NET)
def netlink_news_of_interfaces(things):
    sock = things.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    sock.bind((0, 1))  # RTMGRP_LINK
    yield Register(sock.fileno(), IN)
    yield now(0)
    interface_up(b"lo")
    yield soon(IN)


@program(unshare=NEW_NET)
def netlink_overrun(things):
    sock = things.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    sock.bind((0, 1))
    yield Register(sock.fileno(), 0)
    yield now(0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for flags in [1, 0] * 20:  # up and down
            fcntl.ioctl(control, 0x8914, struct.pack("16sh22x", b"lo", flags))
    yield soon(ERR)


@program(unshare=NEW_NET)
def raw_socket(things):
    interface_up(b"lo")
    sock = things.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    yield Register(sock.fileno(), IN)
    yield now(0)
    sock.sendto(b"\0\0\0\0\0\0\0\0", ("127.0.0.1", 0))
    yield soon(IN)


@program(unshare=NEW_NET)
def ping_socket(things):
    interface_up(b"lo")
    written("/proc/sys/net/ipv4/ping_group_range", "0 0")
    sock = things.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
    sock.connect(("127.0.0.1", 0))
    yield Register(sock.fileno(), IN)
    yield now(0)
    sock.send(b"\x08\0\0\0\0\0\0\1")
    yield soon(IN)


@program
def mptcp_connection(things):
    accepted, client = things.connection(MPTCP)
    yield Register(accepted.fileno(), IN)
    yield now(0)
    client.send(b"data")
    yield soon(IN)
    accepted.recv(100)
    yield now(0)
    client.shutdown(socket.SHUT_WR)
    yield soon(IN)


@program
def mptcp_low_water_mark_lowered(things):
    return low_water_mark_lowered(things, MPTCP)


@program
def mptcp_send_buffer_enlarged(things):
    return send_buffer_enlarged(things, MPTCP)


@program(unshare=NEW_NET)
def mptcp_mark_of_unsent_data_raised(things):
    return mark_raised(things, MPTCP)


@program(unshare=NEW_NET)
def mptcp_mark_of_unsent_data_raised_by_sysctl(things):
    return mark_raised_by_sysctl(things, MPTCP)


@program(unshare=NEW_NET)
def mptcp_client_moved_from_a_closed_listener(things):
    return waiting_client_moved(things, MPTCP)


@program(unshare=NEW_NET)
def packet_socket_whose_ring_is_changed_in_memory(things):
    sock = things.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    ring = struct.pack("4I", 4096, 1, 2048, 2)
    sock.setsockopt(263, 5, ring)  # SOL_PACKET, PACKET_RX_RING
    frames = things.map(sock.fileno(), 4096)
    yield Register(sock.fileno(), IN)
    yield now(0)
    frames[2048:2052] = struct.pack("I", 1)  # TP_STATUS_USER
    yield soon(IN)


@program(unshare=NEW_NET)
def xdp_socket_whose_ring_is_changed_in_memory(things):
    interface_up(b"lo")
    sock = things.socket(44, socket.SOCK_RAW, 0)  # AF_XDP
    area = mmap.mmap(-1, 16 * 4096)
    things.callback(area.close)
    at = ctypes.c_char.from_buffer(area)
    address = ctypes.addressof(at)
    del at
    level, rx, umem, fill_ring, completion, offsets = 283, 2, 4, 5, 6, 1
    sock.setsockopt(level, umem, struct.pack("2Q4I", address, 16 * 4096, 4096, 0, 0, 0))
    for ring in [fill_ring, completion, rx]:
        sock.setsockopt(level, ring, struct.pack("I", 4))
    places = struct.unpack("16Q", sock.getsockopt(level, offsets, 128))
    ring = things.map(sock.fileno(), places[2] + 4 * 16)
    libc("bind", sock.fileno(), struct.pack("HHIII", 44, 1 << 1, 1, 0, 0), 16)  # XDP_COPY
    consumer = places[1]
    yield Register(sock.fileno(), IN)
    yield now(0)
    ring[consumer : consumer + 4] = struct.pack("I", 2**32 - 1)
    yield soon(IN)


# Signals and processes.


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
def signalfd_of_a_signal_for_one_thread(things):
    things.enter_context(blocked(signal.SIGUSR1))
    fd = things.fd(signalfd([signal.SIGUSR1]))
    yield Register(fd, IN)
    yield now(0)
    signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
    yield elsewhere(0)
    yield soon(IN)


@program
def signalfd_whose_mask_is_changed(things):
    things.enter_context(blocked(signal.SIGUSR1, signal.SIGUSR2))
    fd = things.fd(signalfd([signal.SIGUSR1]))
    yield Register(fd, IN)
    os.kill(os.getpid(), signal.SIGUSR2)
    yield now(0)
    signalfd([signal.SIGUSR2], fd)
    yield soon(IN)


@program
def signalfd_registered_by_another_thread_that_is_gone(things):
    things.enter_context(blocked(signal.SIGUSR1))
    fd = things.fd(signalfd([signal.SIGUSR1]))
    yield Register(fd, IN)
    yield elsewhere(0)
    signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
    yield soon(IN)
    os.read(fd, 128)
    yield now(0)
    os.kill(os.getpid(), signal.SIGUSR1)
    yield soon(IN)


class Forked:
    """A child that ends when it is told, and is killed in the end."""

    def __init__(self, things, action=None):
        reader, self.writer = things.pipe()
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
        things.callback(self.reap)

    def go(self):
        os.write(self.writer, b"x")

    def reap(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0


def pidfd_that_ends(things, flags, mask, seen, reaped):
    child = Forked(things)
    fd = things.fd(system_call("pidfd_open", child.pid, flags))
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
def pidfd(things):
    return pidfd_that_ends(things, 0, IN, IN, IN | HUP)


@program
def pidfd_of_a_thread(things):
    return pidfd_that_ends(things, PIDFD_THREAD, IN, IN, IN | HUP)


@program
def pidfd_with_mask_0(things):
    return pidfd_that_ends(things, 0, 0, 0, HUP)


@program
def pidfd_of_one_thread_of_many(things):
    go = threading.Event()
    thread = threading.Thread(target=go.wait, args=[20])
    thread.start()
    things.callback(thread.join)
    things.callback(go.set)
    fd = things.fd(system_call("pidfd_open", thread.native_id, PIDFD_THREAD))
    yield Register(fd, 0)
    yield now(0)
    go.set()
    yield soon(HUP)


@program
def pidfd_whose_first_thread_ends_first(things):
    def leave():
        second = threading.Thread(target=time.sleep, args=[0.15])
        second.start()
        system_call("exit", 0)  # only this thread

    child = Forked(things, leave)
    fd = things.fd(system_call("pidfd_open", child.pid, 0))
    yield Register(fd, IN)
    yield now(0)
    child.go()
    time.sleep(0.05)
    yield now(0)
    yield soon(IN)


# Counters, timers, pipes.


class Ring:
    """io_uring, with queues of one entry each (two for what is completed)."""

    sqpoll, wakeup, need_wakeup = 2, 2, 1

    def __init__(self, things, flags=0, idle=1):
        parameters = bytearray(struct.pack("10I80x", 0, 0, flags, 0, idle, 0, 0, 0, 0, 0))
        buffer = (ctypes.c_char * len(parameters)).from_buffer(parameters)
        self.fd = things.fd(system_call("io_uring_setup", 1, buffer))
        entries = struct.unpack_from("2I", parameters)
        self.sq = struct.unpack_from("7I", parameters, 40)
        self.cq = struct.unpack_from("7I", parameters, 80)
        size = max(self.sq[6] + 4 * entries[0], self.cq[5] + 16 * entries[1])
        self.rings = things.map(self.fd, size)
        # The entry in the queue is all zero: it does nothing.

    def get(self, place):
        return struct.unpack_from("I", self.rings, place)[0]

    def add(self, place, number):
        struct.pack_into("I", self.rings, place, (self.get(place) + number) % 2**32)

    def fill(self):
        self.add(self.sq[1], 1)

    def enter(self, flags=0):
        system_call("io_uring_enter", self.fd, 1, 0, flags, None, 0)

    def take(self, number):
        """Moves the head of what is completed."""
        self.add(self.cq[0], number)


@program
def io_uring_whose_full_queue_is_submitted(things):
    ring = Ring(things)
    yield Register(ring.fd, OUT)
    yield now(OUT)
    ring.fill()
    yield now(0)
    ring.enter()
    yield soon(OUT)


@program
def io_uring_whose_full_queue_is_emptied_by_the_kernel(things):
    ring = Ring(things, flags=Ring.sqpoll)
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
def io_uring_whose_completions_are_given_back(things):
    ring = Ring(things)
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
def eventfd_beyond_its_maximum_by_io_uring(things):
    fd = things.eventfd(FULL)
    ring = Ring(things)
    system_call("io_uring_register", ring.fd, 4, struct.pack("i", fd), 1)
    yield Register(fd, OUT)
    yield now(0)
    ring.fill()
    ring.enter()
    yield soon(ERR)


@program
def eventfd_beyond_its_maximum_by_aio(things):
    fd = things.eventfd(FULL)
    zero = things.open("/dev/zero", os.O_RDONLY)
    context = ctypes.c_ulong()
    system_call("io_setup", 1, ctypes.byref(context))
    things.callback(system_call, "io_destroy", context)
    into = ctypes.create_string_buffer(8)
    block = struct.pack("QIIHhIQQqQII", 0, 0, 0, 0, 0, zero, ctypes.addressof(into), 8, 0, 0, 1, fd)
    block = ctypes.create_string_buffer(block)
    yield Register(fd, 0)
    yield now(0)
    system_call("io_submit", context, 1, ctypes.byref(ctypes.pointer(block)))
    yield soon(ERR)


@program
def eventfd_at_its_maximum(things):
    fd = things.eventfd()
    yield Register(fd, IN | OUT)
    yield now(OUT)
    os.write(fd, struct.pack("Q", FULL))
    yield soon(IN)
    os.read(fd, 8)
    yield soon(OUT)


def timerfd(things, seconds):
    fd = things.fd(libc("timerfd_create", time.CLOCK_MONOTONIC, os.O_CLOEXEC | os.O_NONBLOCK))
    set_timer(fd, seconds)
    return fd


def set_timer(fd, seconds):
    at = struct.pack("4l", 0, 0, int(seconds), int(seconds % 1 * 1e9))
    libc("timerfd_settime", fd, 0, at, None)


@program
def timerfd_set_again(things):
    fd = timerfd(things, 100)
    yield Register(fd, IN)
    yield now(0)
    set_timer(fd, 0.01)
    yield soon(IN)
    set_timer(fd, 100)
    yield now(0)
    set_timer(fd, 0.000001)
    yield soon(IN)


F_SETPIPE_SZ = 1031


@program
def full_pipe_enlarged(things):
    _, writer = things.pipe()
    fill(writer)
    yield Register(writer, OUT)
    yield now(0)
    fcntl.fcntl(writer, F_SETPIPE_SZ, 1 << 20)
    yield soon(OUT)


def splice(source, to, length):
    return libc("splice", source, None, to, None, length, 0)


@program
def pipe_filled_by_splice(things):
    source, into_source = things.pipe()
    reader, writer = things.pipe()
    yield Register(reader, IN)
    yield now(0)
    os.write(into_source, b"data")
    splice(source, writer, 4)
    yield soon(IN)


@program
def pipe_filled_by_sendfile(things):
    reader, writer = things.pipe()
    file = things.open(__file__, os.O_RDONLY)
    yield Register(reader, IN)
    yield now(0)
    os.sendfile(writer, file, 0, 100)
    yield soon(IN)


@program
def pipe_filled_by_tee(things):
    source, into_source = things.pipe()
    reader, writer = things.pipe()
    yield Register(reader, IN)
    yield now(0)
    os.write(into_source, b"data")
    libc("tee", source, writer, 4, 0)
    yield soon(IN)


def emptied_by_splice(things, to):
    reader, writer = things.pipe()
    fill(writer)
    yield Register(writer, OUT)
    yield now(0)
    splice(reader, to, 8192)
    yield soon(OUT)


@program
def pipe_emptied_by_splice_to_a_pipe(things):
    return emptied_by_splice(things, things.pipe()[1])


@program
def pipe_emptied_by_splice_to_a_socket(things):
    return emptied_by_splice(things, things.socket_pair()[0].fileno())


@program
def pipe_emptied_by_splice_to_a_file(things):
    return emptied_by_splice(things, things.enter_context(tempfile.TemporaryFile()).fileno())


@program
def pipe_emptied_by_splice_to_dev_null(things):
    return emptied_by_splice(things, things.open(os.devnull, os.O_WRONLY))


@program
def pipe_emptied_by_vmsplice(things):
    reader, writer = things.pipe()
    fill(writer)
    yield Register(writer, OUT)
    yield now(0)
    into = ctypes.create_string_buffer(8192)
    part = struct.pack("PN", ctypes.addressof(into), 8192)
    libc("vmsplice", reader, part, 1, 0)
    yield soon(OUT)


@program
def fifo_open_for_both(things):
    path = os.path.join(things.directory(), "fifo")
    os.mkfifo(path)
    fd = things.open(path, os.O_RDWR | os.O_NONBLOCK)
    yield Register(fd, IN | OUT)
    yield now(OUT)
    fill(fd)
    yield soon(IN)
    while True:
        try:
            os.read(fd, 65536)
        except BlockingIOError:
            break
    yield soon(OUT)


@program
def fifo_whose_writers_come_and_go(things):
    path = os.path.join(things.directory(), "fifo")
    os.mkfifo(path)
    fd = things.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield Register(fd, 0)
    yield now(0)
    for flags in [os.O_WRONLY, os.O_RDWR]:
        other = os.open(path, flags)
        yield now(0)
        os.close(other)
        yield soon(HUP)


@program
def inotify(things):
    directory = things.directory()
    fd = things.fd(libc("inotify_init1", os.O_CLOEXEC | os.O_NONBLOCK))
    libc("inotify_add_watch", fd, directory.encode(), 0x100)  # IN_CREATE
    yield Register(fd, IN)
    yield now(0)
    os.mkdir(os.path.join(directory, "new"))
    yield soon(IN)
    os.read(fd, 4096)
    yield now(0)


@program
def passed_by_a_socket(things):
    """The number that was registered is closed, and its file comes back under the same number."""
    reader, writer = os.pipe()
    things.fd(writer)
    one, other = things.socket_pair()
    yield Register(reader, IN)
    yield now(0)
    rights = struct.pack("i", reader)
    one.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    os.close(reader)
    _, [(_, _, rights)], _, _ = other.recvmsg(1, socket.CMSG_SPACE(4))
    [received] = struct.unpack("i", rights)
    things.fd(received)
    os.write(writer, b"x")
    if received == reader:
        yield soon(IN)


# userfaultfd, perf, bpf.

UFFD_API, UFFD_NEW = 0xC018AA3F, 0xAA00


def fault_descriptor_made_blocking(fd):
    fcntl.ioctl(fd, UFFD_API, struct.pack("3Q", 0xAA, 0, 0))
    yield Register(fd, IN)
    yield now(0)
    fcntl.fcntl(fd, fcntl.F_SETFL, 0)
    yield soon(ERR)


@program
def userfaultfd_made_blocking(things):
    fd = things.fd(system_call("userfaultfd", os.O_CLOEXEC | os.O_NONBLOCK | 1))
    yield from fault_descriptor_made_blocking(fd)


@program
def userfaultfd_of_the_device_made_blocking(things):
    device = things.open("/dev/userfaultfd", os.O_RDWR)
    fd = things.fd(fcntl.ioctl(device, UFFD_NEW, os.O_CLOEXEC | os.O_NONBLOCK))
    yield from fault_descriptor_made_blocking(fd)


@program
def userfaultfd_before_the_handshake(things):
    fd = things.fd(system_call("userfaultfd", os.O_CLOEXEC | os.O_NONBLOCK | 1))
    yield Register(fd, IN)
    yield now(ERR)
    fcntl.ioctl(fd, UFFD_API, struct.pack("3Q", 0xAA, 0, 0))
    yield now(0)
    fcntl.fcntl(fd, fcntl.F_SETFL, 0)
    yield soon(ERR)


class Faults:
    """A perf event for the page faults of this thread; it says IN once for each."""

    def __init__(self, things):
        software, page_faults, disabled = 1, 2, 1
        attributes = struct.pack(
            "2I5Q2I2Q", software, 72, page_faults, 1, 1, 0, disabled, 1, 0, 0, 0
        )
        flag_close_on_exec = 8
        attributes = ctypes.create_string_buffer(attributes, 72)
        self.fd = things.fd(
            system_call("perf_event_open", attributes, 0, -1, -1, flag_close_on_exec)
        )
        things.map(self.fd, 8192)

    def happen(self):
        fresh = mmap.mmap(-1, 4096)
        fcntl.ioctl(self.fd, 0x2400, 0)  # enable
        fresh[0] = 1
        fcntl.ioctl(self.fd, 0x2401, 0)  # disable
        fresh.close()


@program
def perf_event(things):
    faults = Faults(things)
    yield Register(faults.fd, IN)
    yield now(0)
    for _ in range(3):
        faults.happen()
        yield soon(IN)
        yield now(0)


@program(once=True)
def perf_event_pending_when_registered(things):
    faults = Faults(things)
    faults.happen()
    yield Register(faults.fd, IN)
    yield soon(IN)
    yield now(0)


@program
def perf_event_among_many_that_are_ready(things):
    faults = Faults(things)
    others = tuple(things.pipe() for _ in range(80))
    yield Register(faults.fd, IN, tuple(reader for reader, _ in others))
    yield now(0)
    faults.happen()
    for _, writer in others:
        os.write(writer, b"x")
    yield soon(IN)
    yield now(0)


@program(once=True)
def epoll_of_a_perf_event_that_is_pending(things):
    faults = Faults(things)
    inner = things.enter_context(select.epoll())
    inner.register(faults.fd, select.EPOLLIN)
    faults.happen()
    yield Register(inner.fileno(), IN)
    yield soon(IN)


@program
def epoll_of_a_perf_event(things):
    faults = Faults(things)
    inner = things.enter_context(select.epoll())
    inner.register(faults.fd, select.EPOLLIN)
    yield Register(inner.fileno(), IN)
    yield now(0)
    faults.happen()
    yield soon(IN)


@program
def epoll_of_a_signalfd(things):
    things.enter_context(blocked(signal.SIGUSR1))
    fd = things.fd(signalfd([signal.SIGUSR1]))
    inner = things.enter_context(select.epoll())
    inner.register(fd, select.EPOLLIN)
    yield Register(inner.fileno(), IN)
    yield now(0)
    signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
    yield soon(IN)


@program
def epoll_of_epoll(things):
    reader, writer = things.pipe()
    inner, middle = (things.enter_context(select.epoll()) for _ in range(2))
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


def bpf_map(things, kind, key=0, value=0, entries=4096):
    attributes = ctypes.create_string_buffer(struct.pack("5I", kind, key, value, entries, 0), 128)
    return things.fd(system_call("bpf", 0, attributes, 128))


@program
def bpf_ring_whose_position_is_changed_in_memory(things):
    fd = bpf_map(things, 27)
    consumer = things.map(fd, 4096)
    yield Register(fd, IN)
    yield now(0)
    consumer[:8] = struct.pack("q", -8)
    yield soon(IN)


@program
def bpf_ring_of_the_user_emptied_in_memory(things):
    fd = bpf_map(things, 31)
    producer = things.map(fd, 4096, offset=4096)
    producer[:8] = struct.pack("q", 4096)
    yield Register(fd, OUT)
    yield now(0)
    producer[:8] = struct.pack("q", 0)
    yield soon(OUT)


@program
def bpf_map_without_poll(things):
    fd = bpf_map(things, 1, key=4, value=4, entries=1)
    yield Register(fd, IN | OUT)
    yield now(ERR)


# File systems and devices.


def fuse_file_system(things, device):
    """A file system that is not mounted anywhere."""
    context = things.fd(system_call("fsopen", b"fuse", 1))
    options = {"fd": str(device), "rootmode": "40000", "user_id": "0", "group_id": "0"}
    for key, value in options.items():
        system_call("fsconfig", context, 1, key.encode(), value.encode(), 0)
    system_call("fsconfig", context, 6, None, None, 0)


@program
def fuse_before_and_after_it_is_mounted(things):
    device = things.open("/dev/fuse", os.O_RDWR | os.O_NONBLOCK)
    yield Register(device, IN)
    yield now(ERR)
    fuse_file_system(things, device)
    yield soon(IN)


def emptied_by_fuse(things):
    """The kernel takes a part of a full pipe, and wakes no writer."""
    device = things.open("/dev/fuse", os.O_RDWR | os.O_NONBLOCK)
    fuse_file_system(things, device)
    unique = struct.unpack_from("2IQ", os.read(device, 1 << 16))[2]
    reader, writer = things.pipe(os.O_DIRECT)
    reply = struct.pack("IiQ", 16, -71, unique)  # EPROTO
    os.write(writer, reply)
    fill(writer)
    yield Register(writer, OUT)
    yield now(0)
    splice(reader, device, len(reply))
    return reader


@program
def pipe_emptied_by_splice_to_fuse(things):
    yield from emptied_by_fuse(things)
    yield soon(OUT)


@program
def pipe_emptied_by_splice_to_fuse_and_then_read(things):
    """Reading wakes no writer either, for the pipe is no longer full."""
    reader = yield from emptied_by_fuse(things)
    os.read(reader, 4096)
    yield soon(OUT)


@program
def pipe_filled_by_splice_from_fuse(things):
    device = things.open("/dev/fuse", os.O_RDWR | os.O_NONBLOCK)
    reader, writer = things.pipe()
    fuse_file_system(things, device)
    yield Register(reader, IN)
    yield now(0)
    splice(device, writer, 1 << 16)
    yield soon(IN)


@program
def fanotify(things):
    directory = things.directory()
    fd = things.fd(libc("fanotify_init", 2 | 1, os.O_RDONLY | os.O_CLOEXEC))  # nonblocking
    path = os.path.join(directory, "file")
    written(path, "text")
    system_call("fanotify_mark", fd, 1, 0x20, -100, path.encode())  # FAN_OPEN
    yield Register(fd, IN)
    yield now(0)
    open(path).close()
    yield soon(IN)
    event = os.read(fd, 4096)
    os.close(struct.unpack_from("i", event, 16)[0])
    yield now(0)


@program
def fanotify_permission(things):
    directory = things.directory()
    fd = things.fd(libc("fanotify_init", 4 | 2 | 1, os.O_RDONLY | os.O_CLOEXEC))  # content
    path = os.path.join(directory, "file")
    written(path, "text")
    system_call("fanotify_mark", fd, 1, 0x10000, -100, path.encode())  # FAN_OPEN_PERM
    yield Register(fd, IN | OUT)
    yield now(0)
    opener = threading.Thread(target=lambda: open(path).close(), daemon=True)
    opener.start()
    yield soon(IN)
    event = os.read(fd, 4096)
    opened = struct.unpack_from("i", event, 16)[0]
    os.write(fd, struct.pack("iI", opened, 1))
    os.close(opened)
    opener.join(20)
    yield now(0)


@program
def seccomp_notification(things):
    getppid = NUMBERS["getppid"].get(platform.machine(), -1)
    code = struct.pack("HBBI", 0x20, 0, 0, 0)  # the number of the call
    code += struct.pack("HBBI", 0x15, 0, 1, getppid)
    code += struct.pack("HBBI", 0x06, 0, 0, 0x7FC00000)  # notify
    code += struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000)  # allow
    code = ctypes.create_string_buffer(code, len(code))
    filter = struct.pack("H6xP", 4, ctypes.addressof(code))
    listeners, go = [], threading.Event()

    def filtered():
        try:
            listeners.append(system_call("seccomp", 1, 8, filter))
            made.set()
            go.wait(20)
            system_call("getppid")
        except OSError as error:
            listeners.append(error)
        finally:
            made.set()

    made = threading.Event()
    thread = threading.Thread(target=filtered, daemon=True)
    thread.start()
    things.callback(thread.join, 20)
    made.wait(20)
    [fd] = listeners
    if isinstance(fd, OSError):
        raise fd
    things.fd(fd)
    things.callback(go.set)
    yield Register(fd, IN | OUT)
    yield now(0)
    go.set()
    yield soon(IN)
    notification = bytearray(80)
    fcntl.ioctl(fd, 0xC0502100, notification)
    yield soon(OUT)
    fcntl.ioctl(fd, 0xC0182101, bytearray(notification[:8] + struct.pack("qiI", 0, 0, 1)))
    thread.join(20)
    yield soon(HUP)


@program
def message_queue(things):
    name = b"/pollset-test-%d" % os.getpid()
    attributes = struct.pack("8l", 0, 1, 8, 0, 0, 0, 0, 0)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NONBLOCK
    fd = things.fd(libc("mq_open", name, flags, 0o600, attributes))
    libc("mq_unlink", name)
    yield Register(fd, IN | OUT)
    yield now(OUT)
    libc("mq_send", fd, b"text", 4, 0)
    yield soon(IN)
    libc("mq_receive", fd, ctypes.create_string_buffer(8), 8, None)
    yield soon(OUT)


@program(unshare=NEW_NS)
def mounts(things):
    libc("mount", b"none", b"/", None, 1 << 14 | 1 << 18, None)  # private
    fd = things.open("/proc/self/mounts", os.O_RDONLY)
    yield Register(fd, PRI)
    yield now(0)
    directory = things.directory().encode()
    libc("mount", b"none", directory, b"tmpfs", 0, None)
    things.callback(libc, "umount", directory)
    yield soon(PRI | ERR)
    yield now(0)


@program(unshare=NEW_UTS)
def host_name(things):
    fd = things.open("/proc/sys/kernel/hostname", os.O_RDONLY)
    yield Register(fd, PRI)
    yield now(0)
    socket.sethostname("changed")
    yield soon(PRI | ERR)
    yield now(0)


@program
def events_of_a_cgroup(things):
    with open("/proc/self/mountinfo") as mounts:
        places = [line.split()[4] for line in mounts if " - cgroup2 " in line]
    if not places:
        raise Missing("no cgroup2 is mounted")
    group = os.path.join(places[0], f"pollset-test-{os.getpid()}")
    os.mkdir(group)
    things.callback(os.rmdir, group)
    fd = things.open(os.path.join(group, "cgroup.events"), os.O_RDONLY)
    os.read(fd, 4096)
    yield Register(fd, PRI)
    yield now(0)
    written(os.path.join(group, "cgroup.freeze"), "1")
    yield soon(PRI | ERR)
    os.pread(fd, 4096, 0)
    yield now(0)


@program
def kernel_log_read_from_the_start_again(things):
    fd = things.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    os.lseek(fd, 0, os.SEEK_END)
    yield Register(fd, IN)
    yield now(0)
    os.lseek(fd, 0, os.SEEK_SET)
    yield soon(IN)


@program
def terminal_that_has_room_again(things):
    controller, terminal = (things.fd(fd) for fd in os.openpty())
    tty.setraw(terminal)
    fill_to_the_end(controller)
    yield Register(controller, OUT)
    yield now(0)
    termios.tcflush(terminal, termios.TCIFLUSH)
    yield soon(OUT)


@program
def file_in_memory(things):
    fd = things.fd(os.memfd_create("pollset"))
    yield Register(fd, IN | OUT)
    yield now(IN | OUT)


@program
def only_a_path(things):
    fd = things.open("/", os.O_PATH)
    yield Register(fd, IN)
    yield now(NVAL)


@program
def only_the_path_of_a_fifo(things):
    path = os.path.join(things.directory(), "fifo")
    os.mkfifo(path)
    fd = things.open(path, os.O_PATH)
    yield Register(fd, IN)
    yield now(NVAL)


@program
def only_the_path_of_a_socket(things):
    path = os.path.join(things.directory(), "socket")
    things.socket(socket.AF_UNIX).bind(path)
    fd = things.open(path, os.O_PATH)
    yield Register(fd, IN)
    yield now(NVAL)
