"""engine=, wherever it can be given."""

import inspect
import selectors
from contextlib import closing
from select import POLLIN

import pollset
import pytest
from support import Raised, open_descriptors, outcome

TAKE_IT = [pollset.poll, pollset.PollSelector, pollset.new_event_loop]


class Subclass(pollset.PollSelector):
    def __init__(self):
        super().__init__(engine="epoll")


@pytest.mark.parametrize("engine", ["auto", "poll", "epoll", None])
def test_engines(descriptors, engine):
    fd = descriptors.readable()
    poller = pollset.poll(engine=engine)
    poller.register(fd, POLLIN)
    for _ in range(10):
        assert poller.poll(0) == [(fd, POLLIN)]


WHAT_IS_OPENED = pytest.mark.parametrize(
    ("engine", "count", "opened"),
    [
        *[("poll", 3, 0), ("poll", 100, 0), ("epoll", 3, 1), ("epoll", 100, 1)],
        *[("auto", 3, 0), ("auto", 100, 1), (None, 3, 0), (None, 100, 1)],
    ],
)


@WHAT_IS_OPENED
def test_what_an_engine_opens(descriptors, engine, count, opened):
    """Few descriptors are not worth an instance of epoll, many that are idle are."""
    fds = [descriptors.pipe()[0] for _ in range(count)]
    before = len(open_descriptors())
    poller = pollset.poll(engine=engine)
    for fd in fds:
        poller.register(fd, POLLIN)
    for _ in range(300):
        assert poller.poll(0) == []
    assert len(open_descriptors()) == before + opened


@WHAT_IS_OPENED
def test_what_an_engine_opens_for_a_selector(descriptors, engine, count, opened):
    fds = [descriptors.pipe()[0] for _ in range(count)]
    before = len(open_descriptors())
    with pollset.PollSelector(engine=engine) as selector:
        for _ in range(2):  # closing it doesn't change the engine
            for fd in fds:
                selector.register(fd, selectors.EVENT_READ)
            for _ in range(300):
                assert selector.select(0) == []
            assert len(open_descriptors()) == before + opened
            selector.close()
            assert len(open_descriptors()) == before


def last_engine(selector, descriptors):
    selector.register(descriptors.readable(), selectors.EVENT_READ)
    assert len(selector.select()) == 1
    return selector.stats().last_engine


@pytest.mark.parametrize(("engine", "last"), [("poll", "poll"), ("epoll", "epoll"), (None, "poll")])
def test_an_event_loop_has_the_engine(descriptors, engine, last):
    with closing(pollset.new_event_loop(engine=engine)) as loop:
        assert type(loop._selector) is pollset.PollSelector
        assert last_engine(loop._selector, descriptors) == last


def test_a_subclass_may_choose_the_engine(descriptors):
    with Subclass() as selector:
        assert last_engine(selector, descriptors) == "epoll"
        selector.close()
        assert last_engine(selector, descriptors) == "epoll"


@pytest.mark.parametrize("take_it", TAKE_IT)
def test_it_is_a_keyword(take_it):
    [engine] = inspect.signature(take_it).parameters.values()
    assert engine.name == "engine"
    assert engine.kind is inspect.Parameter.KEYWORD_ONLY
    assert engine.default is None
    assert outcome(take_it, "poll").type is TypeError


def callee(take_it):
    """What the message names: an event loop passes it on to the selector."""
    return "poll" if take_it is pollset.poll else "PollSelector"


@pytest.mark.parametrize("take_it", TAKE_IT)
@pytest.mark.parametrize("engine", ["", "select", "POLL", "epoll ", "po\0ll", "\ud800"], ids=ascii)
def test_an_unknown_engine(take_it, engine):
    text = f"argument 'engine' must be 'auto', 'poll', 'epoll' or None, not {engine!r}"
    error = Raised(ValueError, f"{callee(take_it)}() {text}")
    assert outcome(take_it, engine=engine) == error


@pytest.mark.parametrize("take_it", TAKE_IT)
@pytest.mark.parametrize("engine", [0, False, b"poll", ["poll"], str, pollset])
def test_an_engine_that_is_no_string(take_it, engine):
    text = f"argument 'engine' must be str or None, not {type(engine).__name__}"
    assert outcome(take_it, engine=engine) == Raised(TypeError, f"{callee(take_it)}() {text}")


def test_a_string_of_a_derived_class(descriptors):
    class Name(str):
        pass

    with pollset.PollSelector(engine=Name("epoll")) as selector:
        assert last_engine(selector, descriptors) == "epoll"
