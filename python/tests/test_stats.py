"""stats() of polling objects and of selectors."""

import os
import resource
import selectors
from select import POLLIN

import pollset
import pytest
from support import NOT_OPEN, in_child, outcome, until, waiting

FIELDS = {
    "last_engine": None,
    "poll_waits": 0,
    "epoll_waits": 0,
    "changes_applied": 0,
    "audited": 0,
    "compared": 0,
    "replaced": 0,
    "refused": 0,
}


@pytest.mark.parametrize("make", [pollset.poll, pollset.PollSelector])
def test_a_new_object_has_zero_counts(make):
    stats = make().stats()
    assert type(stats) is pollset.Stats
    assert {name: getattr(stats, name) for name in FIELDS} == FIELDS
    assert {name for name in dir(stats) if not name.startswith("_")} == set(FIELDS)


@pytest.mark.parametrize("engine", ["poll", "epoll"])
def test_waits_are_counted(descriptors, engine):
    poller = pollset.poll(engine=engine)
    poller.register(descriptors.readable(), POLLIN)
    assert poller.stats().last_engine is None
    for waits in range(1, 4):
        poller.poll()
        stats = poller.stats()
        assert stats.last_engine == engine
        assert stats.poll_waits == waits * (engine == "poll")
        assert stats.epoll_waits == waits * (engine == "epoll")
    assert (stats.changes_applied, stats.replaced, stats.refused) == (engine == "epoll", 0, 0)


def test_a_large_idle_set_moves_to_epoll(descriptors):
    """It starts on poll(2), and moves to epoll because no descriptor is ready."""
    poller = pollset.poll()
    for _ in range(100):
        poller.register(descriptors.pipe()[0], POLLIN)
    poller.poll(0)
    assert poller.stats().last_engine == "poll"
    for _ in range(299):
        poller.poll(0)
    stats = poller.stats()
    assert stats.last_engine == "epoll"
    assert min(stats.poll_waits, stats.epoll_waits) > 0
    assert stats.poll_waits + stats.epoll_waits == 300
    assert stats.changes_applied == 100


def test_changes_are_counted_when_they_are_applied(descriptors):
    reader, writer = descriptors.pipe()
    poller = pollset.poll(engine="epoll")
    poller.register(reader, POLLIN)
    poller.poll(0)
    before = poller.stats().changes_applied
    poller.modify(reader, 0)
    poller.register(writer, 0)
    assert poller.stats().changes_applied == before
    poller.poll(0)
    assert poller.stats().changes_applied == before + 2


def test_registrations_on_epoll_are_checked(descriptors):
    poller = pollset.poll(engine="epoll")
    for end in descriptors.sockets():
        poller.register(end, POLLIN)

    def has_checked():
        assert poller.poll(1) == []
        return poller.stats().audited and poller.stats().compared

    until(has_checked)


def test_refusals_of_epoll_are_counted(descriptors):
    fd = descriptors.readable()

    def without_descriptors():
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (1, hard))
        poller = pollset.poll(engine="epoll")
        poller.register(fd, POLLIN)
        assert poller.poll() == [(fd, POLLIN)]
        return poller.stats().last_engine, poller.stats().refused > 0

    assert in_child(without_descriptors) == ("poll", True)


def test_a_wait_that_raised_is_not_counted(pollset_poll, descriptors):
    poller = pollset_poll()
    poller.register(descriptors.pipe()[0])
    poller.poll(0)
    before = poller.stats()
    assert outcome(poller.poll, "1").type is TypeError
    assert poller.stats() == before


def test_a_wait_in_progress_is_not_counted(pollset_poll, descriptors):
    reader, writer = descriptors.pipe()
    poller = pollset_poll()
    poller.register(reader, POLLIN)
    with waiting(poller, 20_000) as future:
        before = poller.stats()
        os.write(writer, b"x")
        future.result()
    after = poller.stats()
    assert after.poll_waits + after.epoll_waits == before.poll_waits + before.epoll_waits + 1


def test_stats_of_a_selector(descriptors):
    with pollset.PollSelector(engine="epoll") as selector:
        selector.register(descriptors.readable(), selectors.EVENT_READ)
        selector.select()
        selector.select(0)
        stats = selector.stats()
        assert (stats.last_engine, stats.poll_waits, stats.epoll_waits) == ("epoll", 0, 2)
        selector.close()
        assert selector.stats() == pollset.poll().stats()


# The type.


def test_stats_are_read_only():
    stats = pollset.poll().stats()
    for name in FIELDS:
        assert outcome(setattr, stats, name, 1).type is AttributeError
        assert outcome(delattr, stats, name).type is AttributeError
    assert outcome(setattr, stats, "other", 1).type is AttributeError


def test_stats_are_a_snapshot(pollset_poll):
    poller = pollset_poll()
    before = poller.stats()
    poller.register(NOT_OPEN)
    poller.poll()
    assert before == pollset_poll().stats() != poller.stats()


def test_equality_and_hash(pollset_poll):
    one, other = pollset_poll(), pollset_poll()
    assert one.stats() == other.stats()
    assert hash(one.stats()) == hash(other.stats())
    one.poll(0)
    assert one.stats() != other.stats()
    assert len({one.stats(), other.stats(), pollset_poll().stats()}) == 2
    assert one.stats() != tuple(FIELDS.values())
    assert outcome(lambda: one.stats() < other.stats()).type is TypeError


def test_stats_are_not_a_tuple():
    """A tuple would not allow later versions to have more fields."""
    stats = pollset.poll().stats()
    for call in (len, iter, lambda stats: stats[0]):
        assert outcome(call, stats).type is TypeError


def test_repr():
    poller = pollset.poll(engine="poll")
    assert repr(poller.stats()) == (
        "pollset.Stats(last_engine=None, poll_waits=0, epoll_waits=0, changes_applied=0, "
        "audited=0, compared=0, replaced=0, refused=0)"
    )
    poller.poll(0)
    assert repr(poller.stats()).startswith("pollset.Stats(last_engine='poll', poll_waits=1, ")


def test_the_type():
    assert pollset.Stats.__module__ == "pollset"
    assert outcome(pollset.Stats).type is TypeError
    assert outcome(type, "Derived", (pollset.Stats,), {}).type is TypeError


def test_each_field_has_a_docstring():
    for name in FIELDS:
        assert len(getattr(pollset.Stats, name).__doc__) > 30
