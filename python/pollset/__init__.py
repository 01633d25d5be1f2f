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

All other names are those of the select module, as they are when pollset is imported: its constants,
select(), and epoll or kqueue where the system has it.
https://docs.python.org/3/library/select.html
"""

import select as _select
from select import *  # noqa: F403

from ._install import install, uninstall
from ._pollset import Stats, __version__, poll  # noqa: F401
from ._selectors import PollSelector, new_event_loop

error = OSError

__all__ = [
    "PollSelector",
    "Stats",
    "error",
    "install",
    "new_event_loop",
    "poll",
    "uninstall",
]
__all__ += [name for name in dir(_select) if not name.startswith("_") and name not in __all__]
