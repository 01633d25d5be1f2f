"""Child processes, one or more for each subject."""

from __future__ import annotations

import ctypes
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

PR_SET_PDEATHSIG = 1

# The main function of a child process; the connection leads to the parent.
Main = Callable[[Connection], None]
Start = Callable[[Main], "tuple[int, Connection]"]


@contextmanager
def processes() -> Iterator[Start]:
    """Yields a function that starts a child process and returns its pid and a connection. All child
    processes end with the context.
    """
    started = []

    def start(main: Main) -> tuple[int, Connection]:
        pipe, child_pipe = multiprocessing.Pipe()
        context = multiprocessing.get_context("fork")
        process = context.Process(target=run_child, args=[main, child_pipe], daemon=True)
        process.start()
        child_pipe.close()
        started.append(process)
        assert process.pid is not None
        return process.pid, pipe

    try:
        yield start
    finally:
        for process in started:
            process.terminate()
            process.join()


def run_child(main: Main, pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process after Ctrl-C
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)  # the kernel does if the parent dies
    main(pipe)
