"""Other sockets: Unix, UDP, netlink, raw, MPTCP, packet and XDP."""

import ctypes
import fcntl
import mmap
import os
import socket
import struct
from contextlib import suppress

from .network import interface_up
from .program import (
    ERR,
    HUP,
    IN,
    MPTCP,
    NEW_NET,
    OUT,
    PRI,
    Register,
    Unsupported,
    fill,
    libc,
    now,
    program,
    soon,
    write_file,
)
from .tcp import (
    low_water_mark_lowered,
    notsent_lowat_raised,
    notsent_lowat_raised_by_sysctl,
    pending_client_moved,
    send_buffer_enlarged,
)


def queue_of_peer_full(resources):
    """Two named datagram sockets. The receive queue of the second is full."""
    directory = resources.directory()
    one, other = (resources.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
    one.bind(os.path.join(directory, "one"))
    other.bind(os.path.join(directory, "other"))
    one.connect(other.getsockname())
    fill(one.fileno(), 1)
    return one, other


@program
def unix_datagram_peer_connects_back(resources):
    one, other = queue_of_peer_full(resources)
    yield Register(one.fileno(), OUT)
    yield now(0)
    other.connect(one.getsockname())
    yield soon(OUT)


@program
def unix_datagram_peer_leaves_another_and_connects_back(resources):
    one, other = queue_of_peer_full(resources)
    third = resources.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    third.bind(one.getsockname() + "-third")
    other.connect(third.getsockname())
    yield Register(one.fileno(), OUT)
    yield now(0)
    other.connect(one.getsockname())
    yield soon(OUT)


@program
def unix_datagram_connected_to_the_same_peer_again(resources):
    one, other = queue_of_peer_full(resources)
    yield Register(one.fileno(), OUT)
    yield now(0)
    one.connect(other.getsockname())
    yield now(0)
    other.recv(1)
    yield soon(OUT)


@program
def unix_datagram_peer_reads(resources):
    one, other = queue_of_peer_full(resources)
    yield Register(one.fileno(), OUT)
    for _ in range(3):
        yield now(0)
        other.recv(1)
        yield soon(OUT)
        one.send(b"x")


@program
def unix_datagram_peer_closes(resources):
    one, other = queue_of_peer_full(resources)
    yield Register(one.fileno(), OUT)
    yield now(0)
    other.close()
    yield soon(OUT)


@program
def unix_stream_urgent_byte(resources):
    one, other = resources.socket_pair()
    yield Register(one.fileno(), IN | PRI)
    yield now(0)
    try:
        other.send(b"!", socket.MSG_OOB)
    except OSError as error:
        raise Unsupported("no urgent data on Unix sockets") from error
    yield soon(IN | PRI)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    yield soon(IN | PRI)
    assert one.recv(1) == b"!"
    yield now(0)
    other.send(b"x")
    yield soon(IN)


@program
def unix_stream_send_buffer_enlarged(resources):
    one, _ = resources.socket_pair()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 10_000)
    fill(one.fileno())
    yield Register(one.fileno(), OUT)
    yield now(0)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 500_000)
    yield soon(OUT)


@program(unshare=NEW_NET)
def udp_error_of_a_datagram_that_was_refused(resources):
    interface_up(b"lo")
    sock = resources.socket(socket.AF_INET, socket.SOCK_DGRAM)
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
def udp_shut_down(resources):
    sock = resources.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    yield Register(sock.fileno(), IN)
    yield now(0)
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    yield soon(IN | HUP)


@program(unshare=NEW_NET)
def netlink_message_about_an_interface(resources):
    sock = resources.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    sock.bind((0, 1))  # RTMGRP_LINK
    yield Register(sock.fileno(), IN)
    yield now(0)
    interface_up(b"lo")
    yield soon(IN)


@program(unshare=NEW_NET)
def netlink_overrun(resources):
    sock = resources.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    sock.bind((0, 1))
    yield Register(sock.fileno(), 0)
    yield now(0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for flags in [1, 0] * 20:  # up and down
            fcntl.ioctl(control, 0x8914, struct.pack("16sh22x", b"lo", flags))
    yield soon(ERR)


@program(unshare=NEW_NET)
def raw_socket(resources):
    interface_up(b"lo")
    sock = resources.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    yield Register(sock.fileno(), IN)
    yield now(0)
    sock.sendto(b"\0\0\0\0\0\0\0\0", ("127.0.0.1", 0))
    yield soon(IN)


@program(unshare=NEW_NET)
def ping_socket(resources):
    interface_up(b"lo")
    write_file("/proc/sys/net/ipv4/ping_group_range", "0 0")
    sock = resources.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
    sock.connect(("127.0.0.1", 0))
    yield Register(sock.fileno(), IN)
    yield now(0)
    sock.send(b"\x08\0\0\0\0\0\0\1")
    yield soon(IN)


@program
def mptcp_connection(resources):
    accepted, client = resources.connection(MPTCP)
    yield Register(accepted.fileno(), IN)
    yield now(0)
    client.send(b"data")
    yield soon(IN)
    accepted.recv(100)
    yield now(0)
    client.shutdown(socket.SHUT_WR)
    yield soon(IN)


@program
def mptcp_low_water_mark_lowered(resources):
    return low_water_mark_lowered(resources, MPTCP)


@program
def mptcp_send_buffer_enlarged(resources):
    return send_buffer_enlarged(resources, MPTCP)


@program(unshare=NEW_NET)
def mptcp_notsent_lowat_raised(resources):
    return notsent_lowat_raised(resources, MPTCP)


@program(unshare=NEW_NET)
def mptcp_notsent_lowat_raised_by_sysctl(resources):
    return notsent_lowat_raised_by_sysctl(resources, MPTCP)


@program(unshare=NEW_NET)
def mptcp_client_moved_from_a_closed_listener(resources):
    return pending_client_moved(resources, MPTCP)


@program(unshare=NEW_NET)
def packet_socket_whose_ring_is_changed_in_memory(resources):
    sock = resources.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    ring = struct.pack("4I", 4096, 1, 2048, 2)
    sock.setsockopt(263, 5, ring)  # SOL_PACKET, PACKET_RX_RING
    frames = resources.map(sock.fileno(), 4096)
    yield Register(sock.fileno(), IN)
    yield now(0)
    frames[2048:2052] = struct.pack("I", 1)  # TP_STATUS_USER
    yield soon(IN)


@program(unshare=NEW_NET)
def xdp_socket_whose_ring_is_changed_in_memory(resources):
    interface_up(b"lo")
    sock = resources.socket(44, socket.SOCK_RAW, 0)  # AF_XDP
    area = mmap.mmap(-1, 16 * 4096)
    resources.callback(area.close)
    at = ctypes.c_char.from_buffer(area)
    address = ctypes.addressof(at)
    del at
    level, rx, umem, fill_ring, completion, offsets = 283, 2, 4, 5, 6, 1
    sock.setsockopt(level, umem, struct.pack("2Q4I", address, 16 * 4096, 4096, 0, 0, 0))
    for ring in [fill_ring, completion, rx]:
        sock.setsockopt(level, ring, struct.pack("I", 4))
    places = struct.unpack("16Q", sock.getsockopt(level, offsets, 128))
    ring = resources.map(sock.fileno(), places[2] + 4 * 16)
    libc("bind", sock.fileno(), struct.pack("HHIII", 44, 1 << 1, 1, 0, 0), 16)  # XDP_COPY
    consumer = places[1]
    yield Register(sock.fileno(), IN)
    yield now(0)
    ring[consumer : consumer + 4] = struct.pack("I", 2**32 - 1)
    yield soon(IN)
