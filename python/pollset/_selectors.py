"""The polling object under the selectors module and under asyncio."""

from __future__ import annotations

import selectors
from functools import partial
from types import BuiltinFunctionType
from typing import TYPE_CHECKING, Literal

from ._pollset import Stats, key_poll

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from ._pollset import _KeyPoll

# A program may put ours in its place.
StandardPollSelector = selectors.PollSelector


class PollSelector(StandardPollSelector):
    """A selector on pollset's polling object: that of the standard library, at the cost of epoll.

    It is used as selectors.PollSelector is. select() waits to the nanosecond, and never less than
    asked. A file object that was closed without being unregistered may go unnoticed for about a
    second.

    engine, "auto", "poll", "epoll" or None, says what the kernel is asked with: see pollset.poll().
    """

    if TYPE_CHECKING:
        _fd_to_key: dict[int, selectors.SelectorKey]
        _selector: _KeyPoll

    def __init__(self, *, engine: Literal["auto", "poll", "epoll"] | None = None) -> None:
        self._engine = engine
        super().__init__()

    @property
    def _selector_cls(self) -> Callable[[], _KeyPoll]:
        """What makes the polling object.

        If a library has replaced that of the standard class by its own, as gevent does, it is used
        here, too. The standard one and that of install() are builtin functions.
        """
        make: Callable[[], _KeyPoll] = StandardPollSelector._selector_cls  # type: ignore[attr-defined]
        if type(make) is not BuiltinFunctionType:
            return make
        return key_poll if self._engine is None else partial(key_poll, engine=self._engine)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait until a registered file object is ready, or timeout seconds have passed.

        Returns a list of (key, events) tuples. 0, or less: ask, and don't wait. None: wait for as
        long as it takes.
        """
        try:
            select = self._selector.select
        except AttributeError:  # not one of ours
            return super().select(timeout)
        return select(self._fd_to_key, timeout)

    def close(self) -> None:
        """Forget all file objects, and close what was opened to wait for them."""
        super().close()
        self._selector = self._selector_cls()

    def stats(self) -> Stats:
        """Tell what this selector has done since it was made or closed: which engine answered its
        last wait, and how many waits each has answered, as a pollset.Stats. help(pollset.Stats) has
        all fields.
        """
        return self._selector.stats()


def new_event_loop(
    *, engine: Literal["auto", "poll", "epoll"] | None = None
) -> asyncio.SelectorEventLoop:
    """Make an asyncio event loop that waits with pollset's polling object.

    asyncio.Runner(loop_factory=pollset.new_event_loop), or from Python 3.12 on
    asyncio.run(main(), loop_factory=pollset.new_event_loop).

    engine, "auto", "poll", "epoll" or None, says what the kernel is asked with: see pollset.poll().
    """
    import asyncio

    return asyncio.SelectorEventLoop(PollSelector(engine=engine))
