"""Contestants that each have a process of their own."""

from __future__ import annotations

import ctypes
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

PR_SET_PDEATHSIG = 1

Role = Callable[[Connection], None]
Start = Callable[[Role], "tuple[int, Connection]"]


@contextmanager
def processes() -> Iterator[Start]:
    """Gives a function that starts them; they are gone afterwards."""
    started = []

    def start(role: Role) -> tuple[int, Connection]:
        pipe, its_pipe = multiprocessing.Pipe()
        context = multiprocessing.get_context("fork")
        process = context.Process(target=play, args=[role, its_pipe], daemon=True)
        process.start()
        its_pipe.close()
        started.append(process)
        assert process.pid is not None
        return process.pid, pipe

    try:
        yield start
    finally:
        for process in started:
            process.terminate()
            process.join()


def play(role: Role, pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it ends it
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)  # or is killed, and can't
    role(pipe)
