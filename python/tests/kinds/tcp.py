"""TCP connections and listeners, and programs that also run on MPTCP."""

import select
import socket
import struct
import time
from contextlib import contextmanager

from .network import interface_up
from .program import (
    ERR,
    HUP,
    IN,
    NEW_NET,
    OUT,
    TCP,
    Register,
    fill_until_stable,
    libc,
    now,
    program,
    soon,
    write_file,
)


@program
def tcp_urgent_byte_becomes_inline(resources):
    accepted, client = resources.connection()
    yield Register(accepted.fileno(), IN)
    yield now(0)
    client.send(b"!", socket.MSG_OOB)
    time.sleep(0.02)
    yield now(0)
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    yield soon(IN)


@program
def tcp_urgent_byte_becomes_inline_after_the_data_before_it(resources):
    accepted, client = resources.connection()
    client.send(b"data")
    client.send(b"!", socket.MSG_OOB)
    yield Register(accepted.fileno(), IN)
    yield soon(IN)
    assert accepted.recv(100) == b"data"
    yield now(0)
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    yield soon(IN)


@program
def tcp_receive_buffer_made_smaller(resources):
    """The data suffices once it nearly fills the smaller buffer."""
    accepted, client = resources.connection()
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 30_000)
    client.sendall(bytes(20_000))
    time.sleep(0.02)
    yield Register(accepted.fileno(), IN)
    yield now(0)
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    yield soon(IN)


def low_water_mark_lowered(resources, protocol):
    accepted, client = resources.connection(protocol)
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1000)
    client.sendall(bytes(500))
    time.sleep(0.02)
    yield Register(accepted.fileno(), IN)
    yield now(0)
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 100)
    yield soon(IN)


@program
def tcp_low_water_mark_lowered(resources):
    return low_water_mark_lowered(resources, TCP)


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
def tcp_data_put_into_the_receive_queue_by_repair(resources):
    accepted, _ = resources.connection()
    yield Register(accepted.fileno(), IN)
    yield now(0)
    with repair(accepted):
        accepted.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE)
        accepted.send(b"data")
    yield soon(IN)


@program
def tcp_window_closed_by_repair(resources):
    """Less data than the low-water mark suffices once the peer can't send more."""
    accepted, client = resources.connection()
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1000)
    client.sendall(bytes(500))
    time.sleep(0.02)
    yield Register(accepted.fileno(), IN)
    yield now(0)
    with repair(accepted):
        window = accepted.getsockopt(socket.IPPROTO_TCP, TCP_REPAIR_WINDOW, 20)
        left, length, max_window, _, right = struct.unpack("5I", window)
        window = struct.pack("5I", left, length, max_window, 0, right)
        accepted.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_WINDOW, window)
    yield soon(IN)


def full_to_notsent_lowat(resources, protocol):
    """A socket that is not writable because of its limit of unsent data."""
    _, client = resources.connection(protocol)
    fill_until_stable(client.fileno(), 100_000)
    return client


TCP_NOTSENT_LOWAT = 25
NOTSENT = "/proc/sys/net/ipv4/tcp_notsent_lowat"


def notsent_lowat_raised_by_sysctl(resources, protocol):
    interface_up(b"lo")
    write_file(NOTSENT, "4096")
    client = full_to_notsent_lowat(resources, protocol)
    yield Register(client.fileno(), OUT)
    yield now(0)
    write_file(NOTSENT, "4294967295")
    yield soon(OUT)


@program(unshare=NEW_NET)
def tcp_notsent_lowat_raised_by_sysctl(resources):
    return notsent_lowat_raised_by_sysctl(resources, TCP)


def notsent_lowat_raised(resources, protocol):
    interface_up(b"lo")
    write_file(NOTSENT, "4096")
    client = full_to_notsent_lowat(resources, protocol)
    yield Register(client.fileno(), OUT)
    yield now(0)
    client.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, 1 << 30)
    yield soon(OUT)


@program(unshare=NEW_NET)
def tcp_notsent_lowat_raised(resources):
    return notsent_lowat_raised(resources, TCP)


def send_buffer_enlarged(resources, protocol):
    _, client = resources.connection(protocol)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 10_000)
    fill_until_stable(client.fileno())
    yield Register(client.fileno(), OUT)
    yield now(0)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 200_000)
    yield soon(OUT)


@program
def tcp_send_buffer_enlarged(resources):
    return send_buffer_enlarged(resources, TCP)


def pending_client_moved(resources, protocol):
    """A closed listener passes its clients on to another one of its group."""
    interface_up(b"lo")
    write_file("/proc/sys/net/ipv4/tcp_migrate_req", "1")
    listeners, address = [], ("127.0.0.1", 0)
    for _ in range(2):
        listener = resources.socket(socket.AF_INET, socket.SOCK_STREAM, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
        listener.listen()
        listeners.append(listener)
        address = listener.getsockname()
    client = resources.socket(socket.AF_INET, socket.SOCK_STREAM, protocol)
    client.settimeout(20)
    client.connect(address)
    poller = select.poll()
    for listener in listeners:
        poller.register(listener, IN)
    ready = [fd for fd, _ in poller.poll(1000)]
    other = next(listener for listener in listeners if listener.fileno() not in ready)
    closed = next(listener for listener in listeners if listener.fileno() in ready)
    yield Register(other.fileno(), IN)
    yield now(0)
    closed.close()
    yield soon(IN)


@program(unshare=NEW_NET)
def tcp_client_moved_from_a_closed_listener(resources):
    return pending_client_moved(resources, TCP)


@program
def tcp_time_stamp_in_the_error_queue(resources):
    accepted, _ = resources.connection()
    accepted.setsockopt(socket.SOL_SOCKET, 37, 1 << 1 | 1 << 4)  # SO_TIMESTAMPING: TX_SOFTWARE
    yield Register(accepted.fileno(), IN)
    yield now(0)
    accepted.send(b"data")
    yield soon(ERR)


@program
def tcp_zero_copy_completed(resources):
    accepted, client = resources.connection()
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
def tcp_listener_shut_down(resources):
    listener = resources.listener()
    yield Register(listener.fileno(), 0)
    yield now(0)
    listener.shutdown(socket.SHUT_RD)
    yield soon(HUP)


@program
def tcp_disconnected_locally(resources):
    accepted, _ = resources.connection()
    yield Register(accepted.fileno(), 0)
    yield now(0)
    libc("connect", accepted.fileno(), struct.pack("H14x", socket.AF_UNSPEC), 16)
    yield soon(ERR | HUP)
