"""The descriptor argument of register(), modify() and unregister().

test_unusual_arguments.py has those that they refuse.
"""

import gc
import os
import socket
import sys
import weakref
from select import POLLIN, POLLNVAL, POLLOUT

import pytest
from support import NOT_OPEN, HasFileno, Index, Raised, outcome

METHODS = {
    "register": lambda poller, fd: poller.register(fd),
    "register with a mask": lambda poller, fd: poller.register(fd, POLLIN),
    "modify": lambda poller, fd: poller.modify(fd, POLLIN),
    "unregister": lambda poller, fd: poller.unregister(fd),
}


@pytest.fixture(params=METHODS.values(), ids=METHODS)
def call(request):
    """A call of each method that takes a descriptor."""
    return request.param


class Descriptor(int):
    pass


class FilenoAndIndex(HasFileno, Index):
    def __init__(self, fd, value):
        self.fd = fd
        self.value = value


class CallsFileno:
    """Its `fileno()` is the given function."""

    def __init__(self, fileno):
        self.fileno = fileno


def registered(poller):
    """The number of the only registered descriptor."""
    [(fd, _)] = poller.poll(0)
    return fd


@pytest.mark.parametrize("wrap", [int, Descriptor, HasFileno, lambda fd: HasFileno(Descriptor(fd))])
def test_an_integer_or_an_object_with_fileno(poll, descriptors, wrap):
    fd = descriptors.writable()
    poller = poll()
    assert poller.register(wrap(fd), POLLOUT) is None
    assert poller.poll(0) == [(fd, POLLOUT)]
    assert type(registered(poller)) is int
    assert poller.modify(wrap(fd), 0) is None
    assert poller.poll(0) == []
    assert poller.unregister(wrap(fd)) is None
    assert outcome(poller.unregister, wrap(fd)) == Raised(KeyError, str(fd))


def test_files_and_sockets(poll):
    with socket.socket() as sock, open(os.devnull) as file:
        poller = poll()
        poller.register(sock)
        poller.register(file)
        assert [fd for fd, _ in poller.poll(0)] == [sock.fileno(), file.fileno()]


@pytest.mark.parametrize("fd", [NOT_OPEN, 1_000_000_000])
def test_a_number_that_is_not_open(poll, fd):
    poller = poll()
    poller.register(fd)
    assert poller.poll(0) == [(fd, POLLNVAL)]


def test_fileno_takes_precedence_over_index(poll, descriptors):
    fd = descriptors.writable()
    poller = poll()
    poller.register(FilenoAndIndex(fd, value=NOT_OPEN))
    assert registered(poller) == fd


def test_an_int_takes_precedence_over_fileno(poll, descriptors):
    class IntWithFileno(int):
        def fileno(self):
            raise AssertionError("fileno() was called")

    fd = descriptors.writable()
    poller = poll()
    poller.register(IntWithFileno(fd))
    assert registered(poller) == fd


@pytest.mark.parametrize(
    "error", [AttributeError, TypeError, ValueError, OSError, ZeroDivisionError]
)
def test_exceptions_of_fileno_are_passed_on(poll, call, error):
    raised = error("from inside")

    def fileno():
        raise raised

    with pytest.raises(error) as caught:
        call(poll(), CallsFileno(fileno))
    assert caught.value is raised


@pytest.mark.parametrize("error", [ValueError, TypeError, ZeroDivisionError, KeyboardInterrupt])
def test_exceptions_of_a_fileno_property_are_passed_on(poll, call, error):
    class Property:
        @property
        def fileno(self):
            raise error("from inside")

    with pytest.raises(error, match="from inside"):
        call(poll(), Property())


def test_fileno_may_come_from_getattr(poll, descriptors):
    class Forwards:
        def __init__(self, target):
            self.target = target

        def __getattr__(self, name):
            return getattr(self.target, name)

    fd = descriptors.writable()
    poller = poll()
    poller.register(Forwards(HasFileno(fd)))
    assert registered(poller) == fd


def test_fileno_is_called_once_for_each_call(poll, call):
    calls = []

    def fileno():
        calls.append(1)
        return 1

    poller = poll()
    poller.register(1)
    call(poller, CallsFileno(fileno))
    assert len(calls) == 1


def test_fileno_may_use_the_object(poll, descriptors):
    reader = descriptors.readable()
    writer = descriptors.writable()
    poller = poll()

    def fileno():
        poller.register(writer, POLLOUT)
        assert (writer, POLLOUT) in poller.poll(0)
        poller.unregister(writer)
        return reader

    poller.register(CallsFileno(fileno), POLLIN)
    poller.modify(CallsFileno(fileno), POLLIN)
    assert poller.poll(0) == [(reader, POLLIN)]
    poller.unregister(CallsFileno(fileno))
    assert poller.poll(0) == []


def test_the_argument_is_not_kept(poll):
    argument = HasFileno(1)
    reference = weakref.ref(argument)
    before = sys.getrefcount(argument)
    poller = poll()
    poller.register(argument)
    poller.modify(argument, POLLOUT)
    poller.poll(0)
    assert sys.getrefcount(argument) == before
    poller.unregister(argument)
    outcome(poller.unregister, argument)
    outcome(poller.modify, argument, POLLIN)
    outcome(poller.register, argument, None)
    assert sys.getrefcount(argument) == before
    del argument
    gc.collect()
    assert reference() is None


def test_the_result_of_fileno_is_not_kept(poll):
    number = int("123456789")
    before = sys.getrefcount(number)
    poller = poll()
    for wrap in (int, HasFileno):
        poller.register(wrap(number))
        poller.poll(0)
        poller.unregister(wrap(number))
        outcome(poller.unregister, wrap(number))
        outcome(poller.modify, wrap(number), POLLIN)
    assert sys.getrefcount(number) == before
