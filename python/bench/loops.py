"""Event loops that take part."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import selectors
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import Any

import pollset
from report import Contestant

ASYNCIO = Contestant("asyncio", "peer")
ASYNCIO_ON_POLL = Contestant("asyncio on poll", "peer")
ASYNCIO_ON_OURS = Contestant("asyncio on pollset", "ours")
UVLOOP = Contestant("uvloop", "peer")
GEVENT = Contestant("gevent", "peer")

Loop = asyncio.AbstractEventLoop


def new_uvloop() -> Loop:
    uvloop: Any = importlib.import_module("uvloop")
    loop: Loop = uvloop.new_event_loop()
    return loop


# Those with asyncio's interface.
LOOPS: dict[Contestant, Callable[[], Loop]] = {
    ASYNCIO: lambda: asyncio.SelectorEventLoop(selectors.DefaultSelector()),
    ASYNCIO_ON_POLL: lambda: asyncio.SelectorEventLoop(selectors.PollSelector()),
    ASYNCIO_ON_OURS: lambda: asyncio.SelectorEventLoop(pollset.PollSelector()),
    UVLOOP: new_uvloop,
}
OPTIONAL = ["gevent", "uvloop"]


def missing() -> list[str]:
    return [name for name in OPTIONAL if importlib.util.find_spec(name) is None]


def versions(contestants: Iterable[str]) -> dict[str, str]:
    return {name: version(name) for name in contestants if name in OPTIONAL}


def present(contestants: Iterable[Contestant]) -> list[Contestant]:
    return [who for who in contestants if who.name not in missing()]
