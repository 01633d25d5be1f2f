"""With any argument, methods behave as those of the running Python."""

import os
import select
import selectors
import signal
from select import POLLIN
from selectors import EVENT_READ, EVENT_WRITE

import pollset
import pytest
from support import NOT_OPEN
from unusual_arguments import VALUES, name, observe

# Calls with an object, a registered descriptor and the value.
POLL_CALLS = {
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
SELECTOR_CALLS = {
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
# Calls that show the state of the object afterwards.
POLL_STATE = [
    lambda poller, fd: poller.poll(0),
    lambda poller, fd: poller.unregister(fd),
    lambda poller, fd: poller.unregister(0),
    lambda poller, fd: poller.unregister(1),
    lambda poller, fd: poller.poll(0),
]
SELECTOR_STATE = [
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
def warning_action(request):
    """The warning filter: show warnings, or raise them as exceptions."""
    return request.param


@pytest.fixture
def ready(descriptors):
    """A ready descriptor, so that no call waits for its timeout."""
    fd, peer = descriptors.sockets()
    os.write(peer, b"x")
    return fd


@pytest.fixture
def idle(descriptors):
    return descriptors.pipe()[0]


def compare(standard, tested, call, *args, **kwargs):
    """The expected and the actual effects, if they differ."""
    expected = observe(call, standard, *args, **kwargs)
    actual = observe(call, tested, *args, **kwargs)
    return [] if actual == expected else [(expected, actual)]


def compare_polls(call, fd, value, warning_action):
    standard, tested = select.poll(), pollset.poll()
    for poller in (standard, tested):
        poller.register(fd, POLLIN)
    yield from compare(standard, tested, call, fd, value, warning_action=warning_action)
    for step in POLL_STATE:
        yield from compare(standard, tested, step, fd)


def compare_selectors(call, fd, value, warning_action):
    with selectors.PollSelector() as standard, pollset.PollSelector() as tested:
        for selector in (standard, tested):
            selector.register(fd, EVENT_READ)
        yield from compare(standard, tested, call, fd, value, warning_action=warning_action)
        for step in SELECTOR_STATE:
            yield from compare(standard, tested, step, fd)


def differences(calls, compare, *args):
    return [(name, *pair) for name, call in calls.items() for pair in compare(call, *args)]


def test_effects_on_polling_objects(ready, value, warning_action):
    assert differences(POLL_CALLS, compare_polls, ready, value, warning_action) == []


def test_effects_on_selectors(ready, value, warning_action):
    assert differences(SELECTOR_CALLS, compare_selectors, ready, value, warning_action) == []


# Whether a call with an accepted timeout waits.


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


def assert_alike(standard, tested, value):
    """Compares twice, because the first alarm may be too early on a busy machine."""
    results = [observe(with_an_alarm, call, value, 0.05) for call in (standard, tested)]
    if results[0] != results[1]:
        results = [observe(with_an_alarm, call, value, 1) for call in (standard, tested)]
    assert results[1] == results[0]


def test_whether_polling_objects_wait(idle, value):
    standard, tested = select.poll(), pollset.poll()
    for poller in (standard, tested):
        poller.register(idle, POLLIN)
    assert_alike(standard.poll, tested.poll, value)


def test_whether_selectors_wait(idle, value):
    with selectors.PollSelector() as standard, pollset.PollSelector() as tested:
        for selector in (standard, tested):
            selector.register(idle, EVENT_READ)
        assert_alike(standard.select, tested.select, value)
