"""Polling objects: wait for events on many file descriptors.

pollset.poll() behaves as select.poll(). The cost of a call grows with the number of ready
descriptors, not with the number of registered ones:

    import pollset as select

    poller = select.poll()
    poller.register(server, select.POLLIN)  # a number, or an object with a fileno() method
    for fd, event in poller.poll(1000):  # milliseconds
        ...

To use it in an unmodified program, call install() first, or start the program with
`python -m pollset`.

PollSelector is a selector for the selectors module, and new_event_loop() makes an event loop for
asyncio.

All other names are those of the select module at the time when pollset is imported: its constants,
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
