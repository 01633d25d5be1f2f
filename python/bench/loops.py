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
from report import Subject

ASYNCIO = Subject("asyncio", "peer")
ASYNCIO_ON_POLL = Subject("asyncio on poll", "peer")
ASYNCIO_ON_POLLSET = Subject("asyncio on pollset", "ours")
UVLOOP = Subject("uvloop", "peer")
GEVENT = Subject("gevent", "peer")

Loop = asyncio.AbstractEventLoop


def new_uvloop() -> Loop:
    uvloop: Any = importlib.import_module("uvloop")
    loop: Loop = uvloop.new_event_loop()
    return loop


# The loops with asyncio's interface.
LOOPS: dict[Subject, Callable[[], Loop]] = {
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


def installed(subjects: Iterable[Subject]) -> list[Subject]:
    return [subject for subject in subjects if subject.name not in missing()]
