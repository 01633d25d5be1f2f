"""Network devices."""

import fcntl
import os
import socket
import struct

from .program import ERR, IN, NEW_NET, Register, now, program, soon


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


def tunnel(resources, flags):
    fd = resources.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    yield Register(fd, IN)
    yield now(ERR)
    fcntl.ioctl(fd, SET_INTERFACE, struct.pack("16sH22x", b"t0", flags | NO_HEADER))
    yield now(0)
    interface_up(b"t0")
    send_through(b"t0", bytes(20))
    yield soon(IN)


@program(unshare=NEW_NET)
def tun(resources):
    return tunnel(resources, TUN)


@program(unshare=NEW_NET)
def tap(resources):
    return tunnel(resources, TAP)


@program(unshare=NEW_NET)
def tun_queue_attached_again(resources):
    fd = resources.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
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
