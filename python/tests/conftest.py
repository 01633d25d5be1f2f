"""The functions that make polling objects, on which most tests run one by one."""

import faulthandler
import functools
import gc
import os
import resource
import select
import signal

import hypothesis
import pollset
import pytest
from support import Descriptors, open_files

OURS = {
    "pollset": pollset.poll,
    "pollset-poll": functools.partial(pollset.poll, engine="poll"),
    "pollset-epoll": functools.partial(pollset.poll, engine="epoll"),
}
BOTH = {"select": select.poll, **OURS}


SECONDS = 1800 if os.environ.get("POLLSET_LONG") else 180


def pytest_configure():
    global stderr
    stderr = os.dup(2)  # before pytest takes it away
    # A shell ignores SIGINT in what it starts in the background, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol():
    """A test that hangs ends the run, with the tracebacks of all threads.

    By a thread without an interpreter state. pytest-timeout has SIGALRM, which tests take from it,
    and a thread of Python, beside which pollset.poll() doesn't keep the interpreter lock.
    """
    faulthandler.dump_traceback_later(SECONDS, exit=True, file=stderr)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.fixture(autouse=True)
def every_descriptor_is_as_before(request):
    """After a failure, what its traceback holds open is reported, too, here or by the next test."""
    before = open_files()
    yield
    request.node.funcargs.clear()  # what the other fixtures gave goes now
    if open_files() != before:
        gc.collect()
    assert open_files() == before


@pytest.fixture(params=BOTH.values(), ids=BOTH)
def poll(request):
    """select.poll, and then ours with each engine: all must do what the test says."""
    return request.param


@pytest.fixture(params=OURS.values(), ids=OURS)
def ours(request):
    """Ours alone, with each engine: for what is meant to differ, or is compared in the test."""
    return request.param


@pytest.fixture
def descriptors():
    """Opens descriptors, and closes them in the end."""
    descriptors = Descriptors()
    yield descriptors
    descriptors.close_all()


@pytest.fixture(scope="session", autouse=True)
def as_many_descriptors_as_are_allowed():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


hypothesis.settings.register_profile(
    "short", max_examples=100, derandomize=True, deadline=None, database=None
)
hypothesis.settings.register_profile("long", max_examples=1000, deadline=None, database=None)
hypothesis.settings.load_profile("long" if os.environ.get("POLLSET_LONG") else "short")


@pytest.fixture
def pipe(descriptors):
    return descriptors.pipe()


@pytest.fixture
def poller(poll, pipe):
    """Watches an idle pipe."""
    poller = poll()
    poller.register(pipe[0], select.POLLIN)
    return poller
