"""Programs that change the events of a descriptor, for many kinds of files.

Each program is a generator. It makes a file, and yields steps: registrations, and waits with the
events to expect. It opens files in an `ExitStack`, which closes them.
"""

from importlib import import_module

from .program import PROGRAMS, Register, Resources, Unsupported, libc

__all__ = ["PROGRAMS", "Register", "Resources", "Unsupported", "libc"]

# Each module adds its programs to PROGRAMS. They are tested in this order.
for module in [
    "network",
    "tcp",
    "sockets",
    "processes",
    "rings",
    "pipes",
    "events",
    "filesystems",
]:
    import_module(f".{module}", __name__)
