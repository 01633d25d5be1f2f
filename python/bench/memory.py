"""The bytes that an object holds: python memory.py CONTESTANT SIZE, with PYTHONMALLOC=malloc."""

from __future__ import annotations

import array
import ctypes
import gc
import sys
import sysconfig

from contestants import OBJECTS, ask, fill
from descriptors import allow_many, middle, single

FIELDS = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"


class Mallinfo2(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in FIELDS.split()]


def can_be_counted() -> bool:
    """glibc tells from 2.33 on. A free-threaded Python can't take its memory from malloc."""
    has_it = hasattr(ctypes.CDLL(None), "mallinfo2")
    return has_it and not sysconfig.get_config_var("Py_GIL_DISABLED")


def allocated() -> int:
    gc.collect()
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = Mallinfo2
    info = mallinfo2()
    return int(info.uordblks + info.hblkhd)


def main() -> None:
    name, size = sys.argv[1], int(sys.argv[2])
    make = next(make for contestant, make in OBJECTS.items() if contestant.name == name)
    allow_many()
    with single(size, middle(size)) as numbers:
        # Not the list: what keeps the numbers as objects has to have objects of its own.
        compact = array.array("i", numbers)
        # What the first ones leave behind isn't counted.
        ask(fill(make, compact))
        allocated()
        before = allocated()
        each = fill(make, compact)
        for _ in range(100):
            ask(each)
        print(max(0, allocated() - before))


if __name__ == "__main__":
    main()
