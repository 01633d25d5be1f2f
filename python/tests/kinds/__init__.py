"""Programs that change what poll(2) says about a descriptor, for many kinds of files.

Each program is a generator. It makes a file, and yields steps: what to register, and what an answer
must say about it. What it opens goes to an `ExitStack` of its own, so that nothing is left.
"""

from importlib import import_module

from .program import PROGRAMS, Missing, Register, Things, libc

__all__ = ["PROGRAMS", "Missing", "Register", "Things", "libc"]

# Each adds its programs to PROGRAMS, which are tested in this order.
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
