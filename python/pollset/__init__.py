"""Polling objects: ask many file descriptors which of them are ready.

pollset.poll() does what select.poll() does, at a cost that grows with the descriptors that are
ready and not with those that are registered:

    import pollset as select

    poller = select.poll()
    poller.register(server, select.POLLIN)  # a number, or anything with a fileno() method
    for fd, event in poller.poll(1000):  # milliseconds
        ...

To use it in a program that can't be changed, call install() first, or start the program with
`python -m pollset`.

PollSelector is the same for the selectors module, and new_event_loop() for asyncio.

The constants are those of the select module, and mean the same:
https://docs.python.org/3/library/select.html#polling-objects
"""

import select as _select

from ._install import install, uninstall
from ._pollset import __version__, poll
from ._selectors import PollSelector, new_event_loop

error = OSError

_constants = {name: value for name, value in vars(_select).items() if name.startswith("POLL")}
globals().update(_constants)

__all__ = [
    "PollSelector",
    "__version__",
    "error",
    "install",
    "new_event_loop",
    "poll",
    "uninstall",
]
__all__ += list(_constants)
