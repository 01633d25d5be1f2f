"""Replaces select.poll with pollset.poll, for unmodified programs."""

import select
import sys
import types

from ._pollset import poll
from ._selectors import StandardPollSelector

_originals: dict[str, object] = {}


def install() -> list[str]:
    """Replace select.poll with pollset.poll, also in selectors.PollSelector.

    Code that looks up select.poll afterwards gets pollset.poll: selectors, subprocess,
    socketserver, multiprocessing and libraries that use them. A second call changes nothing.

    Returns the names of the loaded modules that have the original function in a global variable,
    because they ran `from select import poll` before, in alphabetical order. install() doesn't
    change them, nor other copies, such as class attributes and default arguments. Call install()
    before importing such modules.
    """
    for owner, name in _targets():
        current = getattr(owner, name)
        if current is not poll:
            _originals[name] = current
            setattr(owner, name, poll)
    return _modules_with(_originals["poll"]) if "poll" in _originals else []


def uninstall() -> None:
    """Undo install(). Existing polling objects don't change."""
    for owner, name in _targets():
        if name in _originals and getattr(owner, name) is poll:
            setattr(owner, name, _originals.pop(name))


def _targets() -> list[tuple[object, str]]:
    """The attributes to replace. Libraries that patch these modules may have removed some."""
    targets = [(select, "poll"), (StandardPollSelector, "_selector_cls")]
    return [(owner, name) for owner, name in targets if hasattr(owner, name)]


def _modules_with(original: object) -> list[str]:
    names = []
    for name, module in list(sys.modules.items()):
        # Reading an attribute in the usual way would load a lazy module.
        if isinstance(module, types.ModuleType):
            values = list(object.__getattribute__(module, "__dict__").values())
            if any(value is original for value in values):
                names.append(name)
    return sorted(names)
