"""The polling object under the selectors module and under asyncio."""

from __future__ import annotations

import selectors
from typing import TYPE_CHECKING

from ._pollset import key_poll

if TYPE_CHECKING:
    import asyncio


class PollSelector(selectors.PollSelector):
    """A selector on pollset's polling object: that of the standard library, at the cost of epoll.

    It is used as selectors.PollSelector is. select() waits to the nanosecond, and never less than
    asked. A file object that was closed without being unregistered may go unnoticed for about a
    second.
    """

    _selector_cls = key_poll
    if TYPE_CHECKING:
        _fd_to_key: dict[int, selectors.SelectorKey]

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait until a registered file object is ready, or timeout seconds have passed.

        Returns a list of (key, events) tuples. 0, or less: ask, and don't wait. None: wait for as
        long as it takes.
        """
        return self._selector.select(self._fd_to_key, timeout)

    def close(self) -> None:
        """Forget all file objects, and close what was opened to wait for them."""
        super().close()
        self._selector = key_poll()


def new_event_loop() -> asyncio.SelectorEventLoop:
    """Make an asyncio event loop that waits with pollset's polling object.

    asyncio.Runner(loop_factory=pollset.new_event_loop), or from Python 3.12 on
    asyncio.run(main(), loop_factory=pollset.new_event_loop).
    """
    import asyncio

    return asyncio.SelectorEventLoop(PollSelector())
