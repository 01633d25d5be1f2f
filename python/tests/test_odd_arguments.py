"""Whatever a method is given, ours do what those of the running Python do."""

import os
import select
import selectors
import signal
from select import POLLIN
from selectors import EVENT_READ, EVENT_WRITE

import pollset
import pytest
from odd import VALUES, name, observed
from support import NOT_OPEN

# Each with an object, a descriptor that is registered, and the value.
OF_POLL = {
    "register(VALUE)": lambda poller, fd, value: poller.register(value),
    "register(VALUE, POLLIN)": lambda poller, fd, value: poller.register(value, POLLIN),
    "register(VALUE, VALUE)": lambda poller, fd, value: poller.register(value, value),
    "register(fd, VALUE)": lambda poller, fd, value: poller.register(fd, value),
    "modify(VALUE, POLLIN)": lambda poller, fd, value: poller.modify(value, POLLIN),
    "modify(VALUE, VALUE)": lambda poller, fd, value: poller.modify(value, value),
    "modify(fd, VALUE)": lambda poller, fd, value: poller.modify(fd, value),
    "modify(unknown, VALUE)": lambda poller, fd, value: poller.modify(NOT_OPEN, value),
    "unregister(VALUE)": lambda poller, fd, value: poller.unregister(value),
    "poll(VALUE)": lambda poller, fd, value: poller.poll(value),
}
OF_SELECTOR = {
    "register(VALUE)": lambda selector, fd, value: selector.register(value, EVENT_READ),
    "register(1, VALUE)": lambda selector, fd, value: selector.register(1, value),
    "register(fd, VALUE)": lambda selector, fd, value: selector.register(fd, value),
    "modify(VALUE)": lambda selector, fd, value: selector.modify(value, EVENT_WRITE),
    "modify(fd, VALUE)": lambda selector, fd, value: selector.modify(fd, value),
    "modify(fd, data)": lambda selector, fd, value: selector.modify(fd, EVENT_READ, value),
    "unregister(VALUE)": lambda selector, fd, value: selector.unregister(value),
    "get_key(VALUE)": lambda selector, fd, value: selector.get_key(value),
    "select(VALUE)": lambda selector, fd, value: selector.select(value),
}
# What is seen of an object afterwards.
STATE_OF_POLL = [
    lambda poller, fd: poller.poll(0),
    lambda poller, fd: poller.unregister(fd),
    lambda poller, fd: poller.unregister(0),
    lambda poller, fd: poller.unregister(1),
    lambda poller, fd: poller.poll(0),
]
STATE_OF_SELECTOR = [
    lambda selector, fd: selector.select(0),
    lambda selector, fd: dict(selector.get_map()),
    lambda selector, fd: selector.modify(fd, EVENT_READ | EVENT_WRITE),
    lambda selector, fd: selector.select(0),
    lambda selector, fd: selector.unregister(fd),
    lambda selector, fd: selector.select(0),
]


@pytest.fixture(params=VALUES, ids=name)
def value(request):
    return request.param


@pytest.fixture(params=["always", "error"])
def warned(request):
    """What becomes of warnings."""
    return request.param


@pytest.fixture
def ready(descriptors):
    """Something to report, so that no timeout is waited for."""
    fd, peer = descriptors.sockets()
    os.write(peer, b"x")
    return fd


@pytest.fixture
def idle(descriptors):
    return descriptors.pipe()[0]


def compared(theirs, ours, call, *args, **kwargs):
    """What is expected, and what is answered instead, if it is."""
    expected = observed(call, theirs, *args, **kwargs)
    answered = observed(call, ours, *args, **kwargs)
    return [] if answered == expected else [(expected, answered)]


def of_poll(call, fd, value, warned):
    theirs, ours = select.poll(), pollset.poll()
    for poller in (theirs, ours):
        poller.register(fd, POLLIN)
    yield from compared(theirs, ours, call, fd, value, warned=warned)
    for step in STATE_OF_POLL:
        yield from compared(theirs, ours, step, fd)


def of_selector(call, fd, value, warned):
    with selectors.PollSelector() as theirs, pollset.PollSelector() as ours:
        for selector in (theirs, ours):
            selector.register(fd, EVENT_READ)
        yield from compared(theirs, ours, call, fd, value, warned=warned)
        for step in STATE_OF_SELECTOR:
            yield from compared(theirs, ours, step, fd)


def differences(methods, compare, *args):
    return [(name, *each) for name, call in methods.items() for each in compare(call, *args)]


def test_polling_objects(ready, value, warned):
    assert differences(OF_POLL, of_poll, ready, value, warned) == []


def test_selectors(ready, value, warned):
    assert differences(OF_SELECTOR, of_selector, ready, value, warned) == []


# Whether a timeout that is accepted is a short one.


class StillWaiting(Exception):
    pass


def with_an_alarm(call, value, seconds):
    def handler(*_):
        raise StillWaiting

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        return call(value)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def assert_alike(theirs, ours, value):
    """The second alarm is for a machine that is too busy for the first."""
    answers = [observed(with_an_alarm, call, value, 0.05) for call in (theirs, ours)]
    if answers[0] != answers[1]:
        answers = [observed(with_an_alarm, call, value, 1) for call in (theirs, ours)]
    assert answers[1] == answers[0]


def test_how_long_polling_objects_wait(idle, value):
    theirs, ours = select.poll(), pollset.poll()
    for poller in (theirs, ours):
        poller.register(idle, POLLIN)
    assert_alike(theirs.poll, ours.poll, value)


def test_how_long_selectors_wait(idle, value):
    with selectors.PollSelector() as theirs, pollset.PollSelector() as ours:
        for selector in (theirs, ours):
            selector.register(idle, EVENT_READ)
        assert_alike(theirs.select, ours.select, value)
