"""Fixtures. Most tests run once with each function that makes polling objects."""

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

POLLSET = {
    "pollset": pollset.poll,
    "pollset-poll": functools.partial(pollset.poll, engine="poll"),
    "pollset-epoll": functools.partial(pollset.poll, engine="epoll"),
}
ALL = {"select": select.poll, **POLLSET}

MAX_TEST_SECONDS = 1800 if os.environ.get("POLLSET_LONG") else 180


def pytest_configure():
    global stderr
    stderr = os.dup(2)  # before pytest captures it
    # A shell ignores SIGINT in background jobs, and child processes inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol():
    """Ends the run if a test hangs, with the tracebacks of all threads.

    faulthandler's thread has no interpreter state. pytest-timeout would use SIGALRM, which tests
    need, or a Python thread, beside which pollset.poll() doesn't keep the interpreter lock.
    """
    faulthandler.dump_traceback_later(MAX_TEST_SECONDS, exit=True, file=stderr)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.fixture(autouse=True)
def no_descriptor_leaks(request):
    """Checks that the test leaves the open descriptors unchanged.

    After a failure, descriptors that its traceback keeps open are reported too, here or by the next
    test.
    """
    before = open_files()
    yield
    request.node.funcargs.clear()  # drops the values of the other fixtures
    if open_files() != before:
        gc.collect()
    assert open_files() == before


@pytest.fixture(params=ALL.values(), ids=ALL)
def poll(request):
    """select.poll, and pollset.poll with each engine: the test must pass with all of them."""
    return request.param


@pytest.fixture(params=POLLSET.values(), ids=POLLSET)
def pollset_poll(request):
    """pollset.poll with each engine, for differences and comparisons with select.poll."""
    return request.param


@pytest.fixture
def descriptors():
    """Opens descriptors, and closes them after the test."""
    descriptors = Descriptors()
    yield descriptors
    descriptors.close_all()


@pytest.fixture(scope="session", autouse=True)
def highest_descriptor_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


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
    """A polling object with an idle pipe."""
    poller = poll()
    poller.register(pipe[0], select.POLLIN)
    return poller
