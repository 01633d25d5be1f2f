"""File systems, devices, and other files that the kernel provides."""

import ctypes
import fcntl
import os
import platform
import socket
import struct
import termios
import threading
import tty

from .pipes import splice
from .program import (
    ERR,
    HUP,
    IN,
    NEW_NS,
    NEW_UTS,
    NUMBERS,
    NVAL,
    OUT,
    PRI,
    Register,
    Unsupported,
    fill,
    fill_until_stable,
    libc,
    now,
    program,
    soon,
    system_call,
    write_file,
)


def fuse_file_system(resources, device):
    """Creates a file system that is not mounted."""
    context = resources.fd(system_call("fsopen", b"fuse", 1))
    options = {"fd": str(device), "rootmode": "40000", "user_id": "0", "group_id": "0"}
    for key, value in options.items():
        system_call("fsconfig", context, 1, key.encode(), value.encode(), 0)
    system_call("fsconfig", context, 6, None, None, 0)


@program
def fuse_before_and_after_it_is_mounted(resources):
    device = resources.open("/dev/fuse", os.O_RDWR | os.O_NONBLOCK)
    yield Register(device, IN)
    yield now(ERR)
    fuse_file_system(resources, device)
    yield soon(IN)


def emptied_by_fuse(resources):
    """The kernel removes data from a full pipe without waking writers."""
    device = resources.open("/dev/fuse", os.O_RDWR | os.O_NONBLOCK)
    fuse_file_system(resources, device)
    unique = struct.unpack_from("2IQ", os.read(device, 1 << 16))[2]
    reader, writer = resources.pipe(os.O_DIRECT)
    reply = struct.pack("IiQ", 16, -71, unique)  # EPROTO
    os.write(writer, reply)
    fill(writer)
    yield Register(writer, OUT)
    yield now(0)
    splice(reader, device, len(reply))
    return reader


@program
def pipe_emptied_by_splice_to_fuse(resources):
    yield from emptied_by_fuse(resources)
    yield soon(OUT)


@program
def pipe_emptied_by_splice_to_fuse_and_then_read(resources):
    """read(2) doesn't wake writers either, because the pipe is no longer full."""
    reader = yield from emptied_by_fuse(resources)
    os.read(reader, 4096)
    yield soon(OUT)


@program
def pipe_filled_by_splice_from_fuse(resources):
    device = resources.open("/dev/fuse", os.O_RDWR | os.O_NONBLOCK)
    reader, writer = resources.pipe()
    fuse_file_system(resources, device)
    yield Register(reader, IN)
    yield now(0)
    splice(device, writer, 1 << 16)
    yield soon(IN)


@program
def fanotify(resources):
    directory = resources.directory()
    fd = resources.fd(libc("fanotify_init", 2 | 1, os.O_RDONLY | os.O_CLOEXEC))  # nonblocking
    path = os.path.join(directory, "file")
    write_file(path, "text")
    system_call("fanotify_mark", fd, 1, 0x20, -100, path.encode())  # FAN_OPEN
    yield Register(fd, IN)
    yield now(0)
    open(path).close()
    yield soon(IN)
    event = os.read(fd, 4096)
    os.close(struct.unpack_from("i", event, 16)[0])
    yield now(0)


@program
def fanotify_permission(resources):
    directory = resources.directory()
    fd = resources.fd(libc("fanotify_init", 4 | 2 | 1, os.O_RDONLY | os.O_CLOEXEC))  # content
    path = os.path.join(directory, "file")
    write_file(path, "text")
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
def seccomp_notification(resources):
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
    resources.callback(thread.join, 20)
    made.wait(20)
    [fd] = listeners
    if isinstance(fd, OSError):
        raise fd
    resources.fd(fd)
    resources.callback(go.set)
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
def message_queue(resources):
    name = b"/pollset-test-%d" % os.getpid()
    attributes = struct.pack("8l", 0, 1, 8, 0, 0, 0, 0, 0)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NONBLOCK
    fd = resources.fd(libc("mq_open", name, flags, 0o600, attributes))
    libc("mq_unlink", name)
    yield Register(fd, IN | OUT)
    yield now(OUT)
    libc("mq_send", fd, b"text", 4, 0)
    yield soon(IN)
    libc("mq_receive", fd, ctypes.create_string_buffer(8), 8, None)
    yield soon(OUT)


@program(unshare=NEW_NS)
def mounts(resources):
    libc("mount", b"none", b"/", None, 1 << 14 | 1 << 18, None)  # private
    fd = resources.open("/proc/self/mounts", os.O_RDONLY)
    yield Register(fd, PRI)
    yield now(0)
    directory = resources.directory().encode()
    libc("mount", b"none", directory, b"tmpfs", 0, None)
    resources.callback(libc, "umount", directory)
    yield soon(PRI | ERR)
    yield now(0)


@program(unshare=NEW_UTS)
def host_name(resources):
    fd = resources.open("/proc/sys/kernel/hostname", os.O_RDONLY)
    yield Register(fd, PRI)
    yield now(0)
    socket.sethostname("changed")
    yield soon(PRI | ERR)
    yield now(0)


@program
def events_of_a_cgroup(resources):
    with open("/proc/self/mountinfo") as mounts:
        paths = [line.split()[4] for line in mounts if " - cgroup2 " in line]
    if not paths:
        raise Unsupported("no cgroup2 is mounted")
    group = os.path.join(paths[0], f"pollset-test-{os.getpid()}")
    os.mkdir(group)
    resources.callback(os.rmdir, group)
    fd = resources.open(os.path.join(group, "cgroup.events"), os.O_RDONLY)
    os.read(fd, 4096)
    yield Register(fd, PRI)
    yield now(0)
    write_file(os.path.join(group, "cgroup.freeze"), "1")
    yield soon(PRI | ERR)
    os.pread(fd, 4096, 0)
    yield now(0)


@program
def kernel_log_read_from_the_start_again(resources):
    fd = resources.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    os.lseek(fd, 0, os.SEEK_END)
    yield Register(fd, IN)
    yield now(0)
    os.lseek(fd, 0, os.SEEK_SET)
    yield soon(IN)


@program
def terminal_that_has_room_again(resources):
    controller, terminal = (resources.fd(fd) for fd in os.openpty())
    tty.setraw(terminal)
    fill_until_stable(controller)
    yield Register(controller, OUT)
    yield now(0)
    termios.tcflush(terminal, termios.TCIFLUSH)
    yield soon(OUT)


@program
def file_in_memory(resources):
    fd = resources.fd(os.memfd_create("pollset"))
    yield Register(fd, IN | OUT)
    yield now(IN | OUT)


@program
def opath_directory(resources):
    fd = resources.open("/", os.O_PATH)
    yield Register(fd, IN)
    yield now(NVAL)


@program
def opath_fifo(resources):
    path = os.path.join(resources.directory(), "fifo")
    os.mkfifo(path)
    fd = resources.open(path, os.O_PATH)
    yield Register(fd, IN)
    yield now(NVAL)


@program
def opath_socket(resources):
    path = os.path.join(resources.directory(), "socket")
    resources.socket(socket.AF_UNIX).bind(path)
    fd = resources.open(path, os.O_PATH)
    yield Register(fd, IN)
    yield now(NVAL)
