"""Pipes and FIFOs, and inotify."""

import ctypes
import fcntl
import os
import socket
import struct
import tempfile

from .program import HUP, IN, OUT, Register, fill, libc, now, program, soon

F_SETPIPE_SZ = 1031


@program
def full_pipe_enlarged(resources):
    _, writer = resources.pipe()
    fill(writer)
    yield Register(writer, OUT)
    yield now(0)
    fcntl.fcntl(writer, F_SETPIPE_SZ, 1 << 20)
    yield soon(OUT)


def splice(source, to, length):
    return libc("splice", source, None, to, None, length, 0)


@program
def pipe_filled_by_splice(resources):
    source, into_source = resources.pipe()
    reader, writer = resources.pipe()
    yield Register(reader, IN)
    yield now(0)
    os.write(into_source, b"data")
    splice(source, writer, 4)
    yield soon(IN)


@program
def pipe_filled_by_sendfile(resources):
    reader, writer = resources.pipe()
    file = resources.open(__file__, os.O_RDONLY)
    yield Register(reader, IN)
    yield now(0)
    os.sendfile(writer, file, 0, 100)
    yield soon(IN)


@program
def pipe_filled_by_tee(resources):
    source, into_source = resources.pipe()
    reader, writer = resources.pipe()
    yield Register(reader, IN)
    yield now(0)
    os.write(into_source, b"data")
    libc("tee", source, writer, 4, 0)
    yield soon(IN)


def emptied_by_splice(resources, to):
    reader, writer = resources.pipe()
    fill(writer)
    yield Register(writer, OUT)
    yield now(0)
    splice(reader, to, 8192)
    yield soon(OUT)


@program
def pipe_emptied_by_splice_to_a_pipe(resources):
    return emptied_by_splice(resources, resources.pipe()[1])


@program
def pipe_emptied_by_splice_to_a_socket(resources):
    return emptied_by_splice(resources, resources.socket_pair()[0].fileno())


@program
def pipe_emptied_by_splice_to_a_file(resources):
    return emptied_by_splice(resources, resources.enter_context(tempfile.TemporaryFile()).fileno())


@program
def pipe_emptied_by_splice_to_dev_null(resources):
    return emptied_by_splice(resources, resources.open(os.devnull, os.O_WRONLY))


@program
def pipe_emptied_by_vmsplice(resources):
    reader, writer = resources.pipe()
    fill(writer)
    yield Register(writer, OUT)
    yield now(0)
    into = ctypes.create_string_buffer(8192)
    part = struct.pack("PN", ctypes.addressof(into), 8192)
    libc("vmsplice", reader, part, 1, 0)
    yield soon(OUT)


@program
def fifo_open_for_both(resources):
    path = os.path.join(resources.directory(), "fifo")
    os.mkfifo(path)
    fd = resources.open(path, os.O_RDWR | os.O_NONBLOCK)
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
def fifo_whose_writers_open_and_close(resources):
    path = os.path.join(resources.directory(), "fifo")
    os.mkfifo(path)
    fd = resources.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield Register(fd, 0)
    yield now(0)
    for flags in [os.O_WRONLY, os.O_RDWR]:
        other = os.open(path, flags)
        yield now(0)
        os.close(other)
        yield soon(HUP)


@program
def inotify(resources):
    directory = resources.directory()
    fd = resources.fd(libc("inotify_init1", os.O_CLOEXEC | os.O_NONBLOCK))
    libc("inotify_add_watch", fd, directory.encode(), 0x100)  # IN_CREATE
    yield Register(fd, IN)
    yield now(0)
    os.mkdir(os.path.join(directory, "new"))
    yield soon(IN)
    os.read(fd, 4096)
    yield now(0)


@program
def pipe_received_under_the_same_number(resources):
    """The registered number is closed, and its file is received under the same number."""
    reader, writer = os.pipe()
    resources.fd(writer)
    one, other = resources.socket_pair()
    yield Register(reader, IN)
    yield now(0)
    rights = struct.pack("i", reader)
    one.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    os.close(reader)
    _, [(_, _, rights)], _, _ = other.recvmsg(1, socket.CMSG_SPACE(4))
    [received] = struct.unpack("i", rights)
    resources.fd(received)
    os.write(writer, b"x")
    if received == reader:
        yield soon(IN)
