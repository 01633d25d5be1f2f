import sys
from select import (
    PIPE_BUF as PIPE_BUF,
    POLLERR as POLLERR,
    POLLHUP as POLLHUP,
    POLLIN as POLLIN,
    POLLNVAL as POLLNVAL,
    POLLOUT as POLLOUT,
    POLLPRI as POLLPRI,
    POLLRDBAND as POLLRDBAND,
    POLLRDNORM as POLLRDNORM,
    POLLWRBAND as POLLWRBAND,
    POLLWRNORM as POLLWRNORM,
    error as error,
    select as select,
)

from ._install import install as install, uninstall as uninstall
from ._pollset import Stats as Stats, __version__ as __version__, poll as poll
from ._selectors import PollSelector as PollSelector, new_event_loop as new_event_loop

if sys.platform == "linux":
    from select import (
        EPOLL_CLOEXEC as EPOLL_CLOEXEC,
        EPOLLERR as EPOLLERR,
        EPOLLET as EPOLLET,
        EPOLLEXCLUSIVE as EPOLLEXCLUSIVE,
        EPOLLHUP as EPOLLHUP,
        EPOLLIN as EPOLLIN,
        EPOLLMSG as EPOLLMSG,
        EPOLLONESHOT as EPOLLONESHOT,
        EPOLLOUT as EPOLLOUT,
        EPOLLPRI as EPOLLPRI,
        EPOLLRDBAND as EPOLLRDBAND,
        EPOLLRDHUP as EPOLLRDHUP,
        EPOLLRDNORM as EPOLLRDNORM,
        EPOLLWRBAND as EPOLLWRBAND,
        EPOLLWRNORM as EPOLLWRNORM,
        POLLMSG as POLLMSG,
        POLLRDHUP as POLLRDHUP,
        epoll as epoll,
    )

    if sys.version_info >= (3, 14):
        from select import EPOLLWAKEUP as EPOLLWAKEUP
else:
    from select import (
        KQ_EV_ADD as KQ_EV_ADD,
        KQ_EV_CLEAR as KQ_EV_CLEAR,
        KQ_EV_DELETE as KQ_EV_DELETE,
        KQ_EV_DISABLE as KQ_EV_DISABLE,
        KQ_EV_ENABLE as KQ_EV_ENABLE,
        KQ_EV_EOF as KQ_EV_EOF,
        KQ_EV_ERROR as KQ_EV_ERROR,
        KQ_EV_FLAG1 as KQ_EV_FLAG1,
        KQ_EV_ONESHOT as KQ_EV_ONESHOT,
        KQ_EV_SYSFLAGS as KQ_EV_SYSFLAGS,
        KQ_FILTER_AIO as KQ_FILTER_AIO,
        KQ_FILTER_PROC as KQ_FILTER_PROC,
        KQ_FILTER_READ as KQ_FILTER_READ,
        KQ_FILTER_SIGNAL as KQ_FILTER_SIGNAL,
        KQ_FILTER_TIMER as KQ_FILTER_TIMER,
        KQ_FILTER_VNODE as KQ_FILTER_VNODE,
        KQ_FILTER_WRITE as KQ_FILTER_WRITE,
        KQ_NOTE_ATTRIB as KQ_NOTE_ATTRIB,
        KQ_NOTE_CHILD as KQ_NOTE_CHILD,
        KQ_NOTE_DELETE as KQ_NOTE_DELETE,
        KQ_NOTE_EXEC as KQ_NOTE_EXEC,
        KQ_NOTE_EXIT as KQ_NOTE_EXIT,
        KQ_NOTE_EXTEND as KQ_NOTE_EXTEND,
        KQ_NOTE_FORK as KQ_NOTE_FORK,
        KQ_NOTE_LINK as KQ_NOTE_LINK,
        KQ_NOTE_LOWAT as KQ_NOTE_LOWAT,
        KQ_NOTE_PCTRLMASK as KQ_NOTE_PCTRLMASK,
        KQ_NOTE_PDATAMASK as KQ_NOTE_PDATAMASK,
        KQ_NOTE_RENAME as KQ_NOTE_RENAME,
        KQ_NOTE_REVOKE as KQ_NOTE_REVOKE,
        KQ_NOTE_TRACK as KQ_NOTE_TRACK,
        KQ_NOTE_TRACKERR as KQ_NOTE_TRACKERR,
        KQ_NOTE_WRITE as KQ_NOTE_WRITE,
        kevent as kevent,
        kqueue as kqueue,
    )

    if sys.platform != "darwin":
        from select import (
            KQ_FILTER_NETDEV as KQ_FILTER_NETDEV,
            KQ_NOTE_LINKDOWN as KQ_NOTE_LINKDOWN,
            KQ_NOTE_LINKINV as KQ_NOTE_LINKINV,
            KQ_NOTE_LINKUP as KQ_NOTE_LINKUP,
        )
