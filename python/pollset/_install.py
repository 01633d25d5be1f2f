"""Puts pollset.poll in place of select.poll, for programs that can't be changed."""

import select
import sys
import types

from ._pollset import poll
from ._selectors import StandardPollSelector

_replaced: dict[str, object] = {}


def install() -> list[str]:
    """Put pollset.poll in place of select.poll, and in selectors.PollSelector.

    Whatever looks select.poll up from now on gets pollset.poll: selectors, subprocess,
    socketserver, multiprocessing and what is built on them. Calling it again changes nothing more.

    Returns the names of the loaded modules that hold the original function in a global of their
    own, because they ran `from select import poll` before, in alphabetical order. They are left
    alone, and so are other copies, such as class attributes and default arguments. Call install()
    before they are imported.
    """
    for place, name in _places():
        current = getattr(place, name)
        if current is not poll:
            _replaced[name] = current
            setattr(place, name, poll)
    return _holders(_replaced["poll"]) if "poll" in _replaced else []


def uninstall() -> None:
    """Undo install(). Polling objects that were made meanwhile stay as they are."""
    for place, name in _places():
        if name in _replaced and getattr(place, name) is poll:
            setattr(place, name, _replaced.pop(name))


def _places() -> list[tuple[object, str]]:
    """Those that are there: other libraries that replace parts of these modules take some away."""
    places = [(select, "poll"), (StandardPollSelector, "_selector_cls")]
    return [(place, name) for place, name in places if hasattr(place, name)]


def _holders(original: object) -> list[str]:
    holders = []
    for name, module in list(sys.modules.items()):
        # Modules that load on first use do so when an attribute is asked for in the usual way.
        if isinstance(module, types.ModuleType):
            values = list(object.__getattribute__(module, "__dict__").values())
            if any(value is original for value in values):
                holders.append(name)
    return sorted(holders)
