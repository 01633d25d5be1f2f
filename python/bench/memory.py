"""Prints the bytes that an object holds.

PYTHONMALLOC=malloc python memory.py SUBJECT SIZE
"""

from __future__ import annotations

import array
import ctypes
import gc
import sys
import sysconfig

from descriptors import eventfds, middle, raise_limit
from subjects import OBJECTS, new_registered, poll_once

FIELDS = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"


class Mallinfo2(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in FIELDS.split()]


def can_be_measured() -> bool:
    """mallinfo2 needs glibc 2.33. A free-threaded Python can't use malloc for its objects."""
    has_mallinfo2 = hasattr(ctypes.CDLL(None), "mallinfo2")
    return has_mallinfo2 and not sysconfig.get_config_var("Py_GIL_DISABLED")


def allocated_bytes() -> int:
    gc.collect()
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = Mallinfo2
    info = mallinfo2()
    return int(info.uordblks + info.hblkhd)


def main() -> None:
    name, size = sys.argv[1], int(sys.argv[2])
    make = next(make for subject, make in OBJECTS.items() if subject.name == name)
    raise_limit()
    with eventfds(size, middle(size)) as fds:
        # An array holds no int objects: an object that keeps int objects has to create them.
        compact = array.array("i", fds)
        # Imports and caches of the first calls are not counted.
        poll_once(new_registered(make, compact))
        allocated_bytes()
        before = allocated_bytes()
        registered = new_registered(make, compact)
        for _ in range(100):
            poll_once(registered)
        print(max(0, allocated_bytes() - before))


if __name__ == "__main__":
    main()
