"""PollSelector, and asyncio event loops that use it."""

from __future__ import annotations

import selectors
from functools import partial
from types import BuiltinFunctionType
from typing import TYPE_CHECKING, Literal

from ._pollset import Stats, selector_poll

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from ._pollset import _SelectorPoll

# The original class: a program may replace selectors.PollSelector with pollset's.
StandardPollSelector = selectors.PollSelector


class PollSelector(StandardPollSelector):
    """A selector that uses pollset's polling object: selectors.PollSelector at the cost of epoll.

    It has the interface of selectors.PollSelector. The timeout of select() has a resolution of a
    nanosecond, and select() never returns early. A file object that was closed without being
    unregistered may go unnoticed for about a second.

    engine is "auto", "poll", "epoll" or None, and selects the system call: see pollset.poll().
    """

    if TYPE_CHECKING:
        _fd_to_key: dict[int, selectors.SelectorKey]
        _selector: _SelectorPoll

    def __init__(self, *, engine: Literal["auto", "poll", "epoll"] | None = None) -> None:
        self._engine = engine
        super().__init__()

    @property
    def _selector_cls(self) -> Callable[[], _SelectorPoll]:
        """The function that makes the polling object.

        A library may have replaced that of the standard class, as gevent does. Then this returns
        the library's. The original one and pollset.poll, which install() sets, are builtin
        functions.
        """
        standard: Callable[[], _SelectorPoll] = StandardPollSelector._selector_cls  # type: ignore[attr-defined]
        if type(standard) is not BuiltinFunctionType:
            return standard
        if self._engine is None:
            return selector_poll
        return partial(selector_poll, engine=self._engine)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait until a registered file object is ready, or timeout seconds have passed.

        0 or a negative timeout polls without waiting. None waits without a timeout.

        Returns a list of (key, events) tuples, one for each ready file object. It is empty if the
        timeout has passed, or if a signal handler raised InterruptedError.
        """
        try:
            select = self._selector.select
        except AttributeError:  # made by another library
            return super().select(timeout)
        return select(self._fd_to_key, timeout)

    def close(self) -> None:
        """Unregister all file objects, and close the epoll instance if there is one."""
        super().close()
        self._selector = self._selector_cls()

    def stats(self) -> Stats:
        """Return statistics of this selector since it was made or closed, as a pollset.Stats: the
        engine of the last wait, the number of waits with each engine, and more. See
        help(pollset.Stats).
        """
        return self._selector.stats()


def new_event_loop(
    *, engine: Literal["auto", "poll", "epoll"] | None = None
) -> asyncio.SelectorEventLoop:
    """Make an asyncio event loop that waits with a PollSelector.

    Use it as asyncio.Runner(loop_factory=pollset.new_event_loop), or from Python 3.12 on as
    asyncio.run(main(), loop_factory=pollset.new_event_loop).

    engine is "auto", "poll", "epoll" or None, and selects the system call: see pollset.poll().
    """
    import asyncio

    return asyncio.SelectorEventLoop(PollSelector(engine=engine))
