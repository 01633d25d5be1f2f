"""Additions to the interface of select.poll."""

import operator
import select
from select import POLLIN, POLLOUT, POLLPRI

import pytest
from support import NOT_OPEN, HasFileno, outcome, waiting


def test_len_is_the_number_of_registered_descriptors(pollset_poll):
    poller = pollset_poll()
    assert len(poller) == 0
    poller.register(1)
    poller.register(2)
    poller.register(1, POLLIN)
    assert len(poller) == 2
    poller.unregister(1)
    assert len(poller) == 1


def test_in_tells_whether_a_descriptor_is_registered(pollset_poll):
    poller = pollset_poll()
    poller.register(1, 0)
    assert 1 in poller
    assert HasFileno(1) in poller
    assert 2 not in poller
    assert NOT_OPEN not in poller
    poller.unregister(1)
    assert 1 not in poller


@pytest.mark.parametrize("fd", [-1, 2**31, None, 1.0, "1"])
def test_in_accepts_the_arguments_of_register(pollset_poll, fd):
    assert outcome(operator.contains, pollset_poll(), fd) == outcome(select.poll().register, fd)


def test_iteration_is_over_descriptors_and_masks_in_order(pollset_poll):
    poller = pollset_poll()
    poller.register(5)
    poller.register(3, POLLOUT)
    poller.register(HasFileno(4), 0xFFFF)
    poller.modify(5, 0)
    assert list(poller) == [(5, 0), (3, POLLOUT), (4, 0xFFFF)]
    poller.unregister(5)
    poller.register(5)
    assert list(poller) == [(3, POLLOUT), (4, 0xFFFF), (5, POLLIN | POLLPRI | POLLOUT)]
    assert [type(number) for pair in poller for number in pair] == [int] * 6


def test_the_object_may_be_changed_during_an_iteration(pollset_poll):
    poller = pollset_poll()
    for fd in range(100):
        poller.register(fd, POLLIN)
    for fd, mask in poller:
        assert mask == POLLIN
        poller.unregister(fd)
    assert list(poller) == []


def test_len_in_and_iteration_see_changes_during_a_wait(pollset_poll, descriptors):
    reader, writer = descriptors.pipe()
    poller = pollset_poll()
    poller.register(reader, POLLIN)
    with waiting(poller):
        poller.register(writer, POLLOUT)
        assert len(poller) == 2
        assert writer in poller
        assert list(poller) == [(reader, POLLIN), (writer, POLLOUT)]
        with open(writer, "wb", closefd=False) as file:
            file.write(b"x")


def test_an_empty_object_is_true_although_it_has_a_length(pollset_poll):
    poller = pollset_poll()
    assert len(poller) == 0
    assert poller
    assert operator.truth(poller) is True


def test_an_object_is_not_a_sequence(pollset_poll):
    assert outcome(operator.getitem, pollset_poll(), 0).type is TypeError
    assert outcome(reversed, pollset_poll()).type is TypeError
