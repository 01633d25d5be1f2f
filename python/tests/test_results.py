"""The results of the four methods."""

import os
import resource
import select
import socket
from select import POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, POLLPRI, POLLRDHUP

import pytest
from support import NOT_OPEN, Raised, outcome, until


@pytest.fixture
def poller(poll):
    return poll()


def revents(poller, fd, mask):
    """The events of one descriptor alone, or None."""
    poller.register(fd, mask)
    result = poller.poll(0)
    poller.unregister(fd)
    if not result:
        return None
    [(reported, event)] = result
    assert reported == fd
    return event


# The four methods.


def test_register_and_modify_return_none(poller):
    assert poller.register(1) is None
    assert poller.register(1, POLLIN) is None
    assert poller.modify(1, POLLIN) is None
    assert poller.unregister(1) is None


def test_registering_again_replaces_the_mask(poller, descriptors):
    fd = descriptors.writable()
    poller.register(fd, POLLIN)
    assert poller.poll(0) == []
    poller.register(fd, POLLOUT)
    assert poller.poll(0) == [(fd, POLLOUT)]
    poller.register(fd, POLLIN)
    assert poller.poll(0) == []
    poller.unregister(fd)
    assert outcome(poller.unregister, fd).type is KeyError


def test_modify_replaces_the_mask(poller, descriptors):
    fd = descriptors.writable()
    poller.register(fd, 0)
    assert poller.poll(0) == []
    poller.modify(fd, POLLOUT)
    assert poller.poll(0) == [(fd, POLLOUT)]
    poller.modify(fd, 0)
    assert poller.poll(0) == []


def test_modify_of_an_unregistered_descriptor(poller, descriptors):
    fd = descriptors.writable()
    with pytest.raises(FileNotFoundError) as caught:
        poller.modify(fd, POLLOUT)
    assert caught.value.args == (2, "No such file or directory")
    assert caught.value.filename is None
    assert caught.value.filename2 is None
    assert poller.poll(0) == []
    assert outcome(poller.unregister, fd).type is KeyError


def test_modify_after_unregister(poller, descriptors):
    fd = descriptors.writable()
    poller.register(fd)
    poller.unregister(fd)
    assert outcome(poller.modify, fd, POLLOUT).type is FileNotFoundError
    assert poller.poll(0) == []


def test_unregister_of_an_unregistered_descriptor(poller):
    class Descriptor(int):
        pass

    with pytest.raises(KeyError) as caught:
        poller.unregister(Descriptor(5))
    assert caught.value.args == (5,)
    assert type(caught.value.args[0]) is int


def test_unregister_twice(poller, descriptors):
    fd = descriptors.writable()
    poller.register(fd)
    poller.unregister(fd)
    assert outcome(poller.unregister, fd) == Raised(KeyError, str(fd))
    assert poller.poll(0) == []


def test_errors_change_nothing(poller, descriptors):
    fd = descriptors.writable()
    poller.register(fd, POLLOUT)
    outcome(poller.unregister, NOT_OPEN)
    outcome(poller.modify, NOT_OPEN, POLLIN)
    outcome(poller.register, NOT_OPEN, -1)
    outcome(poller.poll, "0")
    assert poller.poll(0) == [(fd, POLLOUT)]


@pytest.mark.parametrize(
    "method, arguments",
    [
        ("register", ()),
        ("register", (1, 1, 1)),
        ("modify", ()),
        ("modify", (1,)),
        ("modify", (1, 1, 1)),
        ("unregister", ()),
        ("unregister", (1, 1)),
        ("poll", (0, 0)),
    ],
)
def test_wrong_number_of_arguments(poller, method, arguments):
    poller.register(1)
    assert outcome(getattr(poller, method), *arguments).type is TypeError


@pytest.mark.parametrize(
    "method, arguments, keywords",
    [
        ("register", (), {"fd": 1}),
        ("register", (1,), {"eventmask": 1}),
        ("modify", (1,), {"eventmask": 1}),
        ("modify", (), {"fd": 1, "eventmask": 1}),
        ("unregister", (), {"fd": 1}),
        ("poll", (), {"timeout": 0}),
        ("poll", (), {"unknown": 0}),
    ],
)
def test_keyword_arguments_are_refused(poller, method, arguments, keywords):
    poller.register(1)
    assert outcome(getattr(poller, method), *arguments, **keywords).type is TypeError


# The list.


def test_a_fresh_list_of_pairs_of_integers(poller, descriptors):
    for _ in range(3):
        poller.register(descriptors.writable(), POLLOUT)
    result, again = poller.poll(0), poller.poll(0)
    assert type(result) is list
    assert len(result) == 3
    for pair in result:
        assert type(pair) is tuple
        assert [type(number) for number in pair] == [int, int]
    assert result == again
    assert result is not again


def test_the_list_belongs_to_the_caller(poller, descriptors):
    fd = descriptors.writable()
    poller.register(fd, POLLOUT)
    result = poller.poll(0)
    result.append("other")
    assert poller.poll(0) == [(fd, POLLOUT)]
    poller.unregister(fd)
    assert result == [(fd, POLLOUT), "other"]


def test_an_empty_list_is_fresh(poller):
    result = poller.poll(0)
    result.append("other")
    assert poller.poll(0) == []


def test_the_same_tuple_while_the_events_are_the_same(pollset_poll, descriptors):
    """Except those of the first wait, which caches nothing."""
    fd = descriptors.readable()
    poller = pollset_poll()
    poller.register(fd, POLLIN)
    first, second, third = (poller.poll()[0] for _ in range(3))
    assert first is not second
    assert second is third == (fd, POLLIN)


def test_old_results_do_not_change(poller, descriptors):
    read_end, write_end = descriptors.pipe()
    poller.register(read_end, POLLIN)
    os.write(write_end, b"x")
    before = poller.poll(0)
    descriptors.close(write_end)
    after = poller.poll(0)
    assert before == [(read_end, POLLIN)]
    assert after == [(read_end, POLLIN | POLLHUP)]


SIZES = [1, 2, 7, 8, 9, 16, 63, 64, 65, 255, 256, 257, 1023, 1024, 1025, 2500]


@pytest.mark.parametrize("count", SIZES)
def test_all_ready_descriptors_in_registration_order(poller, descriptors, count):
    """Not in the order of their numbers, and without a limit on the number of events."""
    writable = [descriptors.writable() for _ in range(count)]
    shuffled = writable[1::2][::-1] + writable[0::2]
    for fd in shuffled:
        poller.register(fd, POLLOUT)
    for _ in range(3):
        assert poller.poll(0) == [(fd, POLLOUT) for fd in shuffled]


@pytest.mark.parametrize("count", SIZES)
def test_few_ready_descriptors_in_registration_order(poller, descriptors, count):
    pipes = [descriptors.pipe() for _ in range(count)]
    for reader, _ in reversed(pipes):
        poller.register(reader, POLLIN)
    for _ in range(100):
        assert poller.poll(0) == []
    few = pipes[:: max(1, count // 5)]
    for _, writer in few:
        os.write(writer, b"x")
    expected = [(reader, POLLIN) for reader, _ in reversed(few)]
    for timeout in (0, None, 0, 1000):
        assert poller.poll(timeout) == expected


def test_registering_again_and_modifying_keep_the_place(poller, descriptors):
    first, second, third = (descriptors.writable() for _ in range(3))
    for fd in (third, first, second):
        poller.register(fd, POLLOUT)
    poller.register(third, POLLOUT)
    poller.modify(first, 0)
    poller.modify(first, POLLOUT)
    assert [fd for fd, _ in poller.poll(0)] == [third, first, second]


def test_unregister_and_register_move_to_the_end(poller, descriptors):
    first, second, third = (descriptors.writable() for _ in range(3))
    for fd in (first, second, third):
        poller.register(fd, POLLOUT)
    poller.unregister(first)
    poller.register(first, POLLOUT)
    assert [fd for fd, _ in poller.poll(0)] == [second, third, first]


def test_changes_take_effect_at_the_next_call(poller, descriptors):
    """Often enough for an object to change its engine in between."""
    first, second = descriptors.writable(), descriptors.writable()
    for _ in range(50):
        poller.register(first, POLLOUT)
        assert poller.poll(0) == [(first, POLLOUT)]
        poller.register(second, POLLOUT)
        assert poller.poll(0) == [(first, POLLOUT), (second, POLLOUT)]
        poller.modify(first, 0)
        assert poller.poll(0) == [(second, POLLOUT)]
        poller.unregister(second)
        assert poller.poll(0) == []
        poller.unregister(first)
        assert poller.poll(0) == []


def test_a_descriptor_that_stays_ready_is_reported_again(poller, descriptors):
    fd = descriptors.readable()
    poller.register(fd, POLLIN)
    for _ in range(5):
        assert poller.poll(0) == [(fd, POLLIN)]
    os.read(fd, 1)
    assert poller.poll(0) == []


# The events.


def test_data_to_read_and_room_to_write(poller, descriptors):
    read_end, write_end = descriptors.pipe()
    everything = POLLIN | POLLPRI | POLLOUT
    assert revents(poller, read_end, everything) is None
    assert revents(poller, write_end, everything) == POLLOUT
    os.write(write_end, b"x")
    assert revents(poller, read_end, everything) == POLLIN
    os.set_blocking(write_end, False)
    while outcome(os.write, write_end, bytes(4096)) == 4096:
        pass
    assert revents(poller, write_end, everything) is None


def test_urgent_data(poller):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sender = socket.create_connection(listener.getsockname())
        receiver, _ = listener.accept()
        with sender, receiver:
            assert revents(poller, receiver.fileno(), POLLPRI) is None
            sender.send(b"!", socket.MSG_OOB)
            until(lambda: revents(poller, receiver.fileno(), POLLPRI) == POLLPRI)


@pytest.mark.parametrize("mask", [0, POLLIN, POLLERR, POLLHUP, POLLNVAL, 0xFFFF])
def test_errors_and_hang_ups_are_always_reported(poller, descriptors, mask):
    read_end, write_end = descriptors.pipe()
    descriptors.close(write_end)
    assert revents(poller, read_end, mask) == POLLHUP == 16
    read_end, write_end = descriptors.pipe()
    descriptors.close(read_end)
    assert revents(poller, write_end, mask) & ~POLLOUT & ~0x300 == POLLERR == 8
    assert revents(poller, NOT_OPEN, mask) == POLLNVAL == 32


def test_a_regular_file(poller, descriptors):
    file = descriptors.path(__file__)
    assert revents(poller, file, 7) == 5
    assert revents(poller, file, 0) is None
    for _ in range(20):
        poller.register(file, 7)
        assert poller.poll(0) == [(file, 5)]


def test_a_regular_file_among_others(poller, descriptors):
    fds = [
        descriptors.readable(),
        descriptors.path(__file__),
        descriptors.path(os.devnull),
        NOT_OPEN,
        descriptors.path("/"),
        descriptors.readable(),
    ]
    for fd in fds:
        poller.register(fd, POLLIN)
    for timeout in [0] * 30 + [None, 1000]:
        assert poller.poll(timeout) == [(fd, POLLNVAL if fd == NOT_OPEN else POLLIN) for fd in fds]


def test_a_half_closed_peer_is_reported_only_with_pollrdhup(poller):
    end, peer = socket.socketpair()
    with end, peer:
        peer.shutdown(socket.SHUT_WR)
        assert revents(poller, end.fileno(), POLLIN) == POLLIN
        assert revents(poller, end.fileno(), POLLRDHUP) == POLLRDHUP
        assert revents(poller, end.fileno(), 0) is None
        peer.close()
        assert revents(poller, end.fileno(), POLLIN) == POLLIN | POLLHUP
        assert revents(poller, end.fileno(), POLLIN | POLLRDHUP) == POLLIN | POLLHUP | POLLRDHUP


def test_error_bits_in_the_mask_are_allowed(poller, descriptors):
    fd = descriptors.writable()
    assert revents(poller, fd, POLLERR | POLLHUP | POLLNVAL) is None
    assert revents(poller, fd, POLLOUT | POLLERR | POLLHUP | POLLNVAL) == POLLOUT


def test_files_in_many_states_have_the_events_of_select_poll(pollset_poll, descriptors):
    fds = descriptors.in_many_states()
    standard, tested = select.poll(), pollset_poll()
    for fd in fds:
        standard.register(fd, 0xFFFF)
        tested.register(fd, 0xFFFF)
    for timeout in [0] * 30 + [None, 1000]:
        assert tested.poll(timeout) == standard.poll(timeout)


def test_a_number_reused_after_unregistering(poller, descriptors):
    """Unregistered, closed, opened again and registered again."""
    number, _ = descriptors.pipe()
    for _ in range(20):
        poller.register(number, POLLIN)
        assert poller.poll(0) == []
        poller.unregister(number)
        descriptors.renumbered(descriptors.readable(), number)
        poller.register(number, POLLIN)
        assert poller.poll(0) == [(number, POLLIN)]
        poller.unregister(number)
        idle, _ = descriptors.pipe()
        descriptors.renumbered(idle, number)


def test_a_number_reused_without_unregistering(poller, descriptors):
    number, _ = descriptors.pipe()
    poller.register(number, POLLIN)
    for _ in range(20):
        assert poller.poll(0) == []
    descriptors.renumbered(descriptors.readable(), number)
    poller.register(number, POLLIN)
    until(lambda: poller.poll(0) == [(number, POLLIN)])


def test_a_descriptor_closed_without_unregistering(poller, descriptors):
    others = [descriptors.readable() for _ in range(3)]
    fd = descriptors.writable()
    for each in (fd, *others):
        poller.register(each, POLLIN | POLLOUT)
    poller.poll(0)
    descriptors.close(fd)
    expected = [(fd, POLLNVAL), *((other, POLLIN) for other in others)]
    until(lambda: poller.poll(0) == expected)
    assert poller.poll() == expected
    poller.unregister(fd)
    assert poller.poll(0) == expected[1:]


def test_a_closed_descriptor_is_invalid_at_the_next_call(poll, descriptors):
    """Also the first wait opens no descriptor, which would take the number."""
    for _ in range(10):
        poller = poll()
        fd = descriptors.writable()
        poller.register(fd)
        descriptors.close(fd)
        assert poller.poll() == [(fd, POLLNVAL)]
        poller.unregister(fd)


def test_objects_are_independent(poll, descriptors):
    fd = descriptors.writable()
    one, other = poll(), poll()
    one.register(fd, POLLOUT)
    assert other.poll(0) == []
    other.register(fd, POLLIN)
    assert one.poll(0) == [(fd, POLLOUT)]
    assert other.poll(0) == []


# The limit of open descriptors also limits the registrations.


@pytest.fixture
def limit_of_descriptors():
    """Sets the lowest limit at which this process works, and returns it."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = max(map(int, os.listdir("/proc/self/fd"))) + 64
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, before[1]))
    yield limit
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("timeout", [0, 10, None])
def test_more_entries_than_the_limit_of_descriptors(poller, limit_of_descriptors, timeout):
    fds = [NOT_OPEN - n for n in range(limit_of_descriptors + 1)]
    for fd in fds:
        poller.register(fd)
    for _ in range(3):
        assert outcome(poller.poll, timeout) == Raised(OSError, "[Errno 22] Invalid argument")
    poller.unregister(fds[0])
    assert poller.poll(timeout) == [(fd, POLLNVAL) for fd in fds[1:]]
