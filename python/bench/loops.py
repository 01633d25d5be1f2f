"""The event loops under comparison."""

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
ASYNCIO_ON_POLLSET = Contestant("asyncio on pollset", "ours")
UVLOOP = Contestant("uvloop", "peer")
GEVENT = Contestant("gevent", "peer")

Loop = asyncio.AbstractEventLoop


def new_uvloop() -> Loop:
    uvloop: Any = importlib.import_module("uvloop")
    loop: Loop = uvloop.new_event_loop()
    return loop


# The loops with asyncio's interface.
LOOPS: dict[Contestant, Callable[[], Loop]] = {
    ASYNCIO: lambda: asyncio.SelectorEventLoop(selectors.DefaultSelector()),
    ASYNCIO_ON_POLL: lambda: asyncio.SelectorEventLoop(selectors.PollSelector()),
    ASYNCIO_ON_POLLSET: lambda: asyncio.SelectorEventLoop(pollset.PollSelector()),
    UVLOOP: new_uvloop,
}
OPTIONAL = ["gevent", "uvloop"]


def missing() -> list[str]:
    return [name for name in OPTIONAL if importlib.util.find_spec(name) is None]


def versions(subjects: Iterable[str]) -> dict[str, str]:
    return {name: version(name) for name in subjects if name in OPTIONAL}


def installed(subjects: Iterable[Contestant]) -> list[Contestant]:
    return [subject for subject in subjects if subject.name not in missing()]
