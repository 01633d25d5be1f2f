import sys
from typing import Final

from ._install import install as install, uninstall as uninstall
from ._pollset import __version__ as __version__, poll as poll

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
    "__version__",
    "error",
    "install",
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
