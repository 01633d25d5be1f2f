"""The argument engine= of all functions and classes that have it."""

import inspect
import selectors
from contextlib import closing
from select import POLLIN

import pollset
import pytest
from support import Raised, open_descriptors, outcome

CALLABLES = [pollset.poll, pollset.PollSelector, pollset.new_event_loop]


class Subclass(pollset.PollSelector):
    def __init__(self):
        super().__init__(engine="epoll")


@pytest.mark.parametrize("engine", ["auto", "poll", "epoll", None])
def test_each_engine_reports_events(descriptors, engine):
    fd = descriptors.readable()
    poller = pollset.poll(engine=engine)
    poller.register(fd, POLLIN)
    for _ in range(10):
        assert poller.poll(0) == [(fd, POLLIN)]


EPOLL_INSTANCES = pytest.mark.parametrize(
    ("engine", "count", "instances"),
    [
        *[("poll", 3, 0), ("poll", 100, 0), ("epoll", 3, 1), ("epoll", 100, 1)],
        *[("auto", 3, 0), ("auto", 100, 1), (None, 3, 0), (None, 100, 1)],
    ],
)


@EPOLL_INSTANCES
def test_when_an_engine_creates_an_epoll_instance(descriptors, engine, count, instances):
    """With "auto", only for a large set of idle descriptors."""
    fds = [descriptors.pipe()[0] for _ in range(count)]
    before = len(open_descriptors())
    poller = pollset.poll(engine=engine)
    for fd in fds:
        poller.register(fd, POLLIN)
    for _ in range(300):
        assert poller.poll(0) == []
    assert len(open_descriptors()) == before + instances


@EPOLL_INSTANCES
def test_when_a_selector_creates_an_epoll_instance(descriptors, engine, count, instances):
    fds = [descriptors.pipe()[0] for _ in range(count)]
    before = len(open_descriptors())
    with pollset.PollSelector(engine=engine) as selector:
        for _ in range(2):  # close() doesn't change the engine
            for fd in fds:
                selector.register(fd, selectors.EVENT_READ)
            for _ in range(300):
                assert selector.select(0) == []
            assert len(open_descriptors()) == before + instances
            selector.close()
            assert len(open_descriptors()) == before


def last_engine(selector, descriptors):
    selector.register(descriptors.readable(), selectors.EVENT_READ)
    assert len(selector.select()) == 1
    return selector.stats().last_engine


@pytest.mark.parametrize(("engine", "last"), [("poll", "poll"), ("epoll", "epoll"), (None, "poll")])
def test_new_event_loop_passes_the_engine_on(descriptors, engine, last):
    with closing(pollset.new_event_loop(engine=engine)) as loop:
        assert type(loop._selector) is pollset.PollSelector
        assert last_engine(loop._selector, descriptors) == last


def test_a_subclass_may_choose_the_engine(descriptors):
    with Subclass() as selector:
        assert last_engine(selector, descriptors) == "epoll"
        selector.close()
        assert last_engine(selector, descriptors) == "epoll"


@pytest.mark.parametrize("function", CALLABLES)
def test_engine_is_keyword_only(function):
    [engine] = inspect.signature(function).parameters.values()
    assert engine.name == "engine"
    assert engine.kind is inspect.Parameter.KEYWORD_ONLY
    assert engine.default is None
    assert outcome(function, "poll").type is TypeError


def callee(function):
    """The name in the error message. new_event_loop() passes the argument on to the selector."""
    return "poll" if function is pollset.poll else "PollSelector"


@pytest.mark.parametrize("function", CALLABLES)
@pytest.mark.parametrize("engine", ["", "select", "POLL", "epoll ", "po\0ll", "\ud800"], ids=ascii)
def test_an_unknown_engine(function, engine):
    text = f"argument 'engine' must be 'auto', 'poll', 'epoll' or None, not {engine!r}"
    error = Raised(ValueError, f"{callee(function)}() {text}")
    assert outcome(function, engine=engine) == error


@pytest.mark.parametrize("function", CALLABLES)
@pytest.mark.parametrize("engine", [0, False, b"poll", ["poll"], str, pollset])
def test_an_engine_that_is_not_a_string(function, engine):
    text = f"argument 'engine' must be str or None, not {type(engine).__name__}"
    assert outcome(function, engine=engine) == Raised(TypeError, f"{callee(function)}() {text}")


def test_a_subclass_of_str(descriptors):
    class Name(str):
        pass

    with pollset.PollSelector(engine=Name("epoll")) as selector:
        assert last_engine(selector, descriptors) == "epoll"
