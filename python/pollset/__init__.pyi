import sys
from typing import Final

from ._install import install as install, uninstall as uninstall
from ._pollset import __version__ as __version__, poll as poll
from ._selectors import PollSelector as PollSelector, new_event_loop as new_event_loop

__all__ = [
    "POLLERR",
    "POLLHUP",
    "POLLIN",
    "POLLNVAL",
    "POLLOUT",
    "POLLPRI",
    "POLLRDBAND",
    "POLLRDNORM",
    "POLLWRBAND",
    "POLLWRNORM",
    "PollSelector",
    "__version__",
    "error",
    "install",
    "new_event_loop",
    "poll",
    "uninstall",
]

error = OSError

POLLERR: Final[int]
POLLHUP: Final[int]
POLLIN: Final[int]
POLLNVAL: Final[int]
POLLOUT: Final[int]
POLLPRI: Final[int]
POLLRDBAND: Final[int]
POLLRDNORM: Final[int]
POLLWRBAND: Final[int]
POLLWRNORM: Final[int]
if sys.platform == "linux":
    POLLMSG: Final[int]
    POLLRDHUP: Final[int]
    __all__ += ["POLLMSG", "POLLRDHUP"]
