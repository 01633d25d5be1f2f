"""Signals during a wait: it continues with the rest of the timeout, unless the handler raises."""

import os
import select
import signal
import time
from select import POLLIN, POLLOUT

import pytest
from support import CONCURRENT, alarms, during_a_wait, outcome, seconds_of


class FromTheHandler(Exception):
    pass


def raises():
    raise FromTheHandler


@pytest.mark.parametrize("timeout", [None, -1, 30_000])
def test_a_handler_that_raises_ends_the_wait(poller, pipe, timeout):
    reader, writer = pipe
    for _ in range(2):
        with pytest.raises(FromTheHandler), alarms(during_a_wait(poller, raises)):
            poller.poll(timeout)
        assert poller.poll(0) == []
    os.write(writer, b"x")
    assert poller.poll(timeout) == [(reader, POLLIN)]
    poller.modify(reader, 0)
    poller.unregister(reader)


def test_keyboard_interrupt(poller):
    handler = during_a_wait(poller, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt), alarms(handler):
        poller.poll()
    assert poller.poll(0) == []


def test_a_signal_does_not_shorten_the_wait(poller):
    calls = []
    with alarms(lambda: calls.append(1)):
        seconds, result = seconds_of(poller.poll, 150)
    assert result == []
    assert seconds >= 0.15
    assert calls


def test_signals_do_not_restart_the_timeout(poller):
    """The interval of the signals is shorter than the timeout. The wait must end before they do."""
    begin = time.monotonic()
    have_signals_ended = False

    def handler():
        nonlocal have_signals_ended
        if time.monotonic() > begin + 15:
            signal.setitimer(signal.ITIMER_REAL, 0)
            have_signals_ended = True

    with alarms(handler):
        seconds, result = seconds_of(poller.poll, 100)
    assert result == []
    assert seconds >= 0.1
    assert not have_signals_ended


def test_a_handler_can_make_a_descriptor_ready(poller, pipe):
    reader, writer = pipe
    with alarms(during_a_wait(poller, lambda: os.write(writer, b"x"))):
        assert poller.poll() == [(reader, POLLIN)]


def test_registrations_by_a_handler_take_effect_at_the_next_call(poller, pipe, descriptors):
    reader, writer = pipe
    ready = descriptors.writable()
    handler = during_a_wait(
        poller, lambda: poller.register(ready, POLLOUT), lambda: os.write(writer, b"x")
    )
    with alarms(handler):
        assert poller.poll() == [(reader, POLLIN)]
    assert poller.poll(0) == [(reader, POLLIN), (ready, POLLOUT)]


def test_changes_by_a_handler_do_not_end_the_wait(poller, pipe, descriptors):
    ready = descriptors.readable()

    def change():
        poller.register(ready, POLLIN)
        poller.modify(pipe[0], 0)
        poller.unregister(pipe[0])

    with alarms(during_a_wait(poller, change)):
        seconds, result = seconds_of(poller.poll, 300)
    assert result == []
    assert seconds >= 0.3
    assert poller.poll(0) == [(ready, POLLIN)]


@pytest.mark.parametrize("timeout", [0, 10, None])
def test_poll_from_inside_the_handler_is_concurrent(poller, pipe, timeout):
    reader, writer = pipe
    results = []

    def poll_again():
        results.append(outcome(poller.poll, timeout))
        os.write(writer, b"x")

    with alarms(during_a_wait(poller, poll_again)):
        assert poller.poll() == [(reader, POLLIN)]
    assert results == [CONCURRENT]


def test_poll_of_another_object_inside_the_handler(poller, poll, pipe):
    reader, writer = pipe

    def poll_another():
        os.write(writer, b"x")
        other = poll()
        other.register(reader, POLLIN)
        assert other.poll() == [(reader, POLLIN)]

    with alarms(during_a_wait(poller, poll_another)):
        assert poller.poll() == [(reader, POLLIN)]


def test_the_handler_runs_although_a_descriptor_is_ready(poller, pipe):
    calls = []
    os.write(pipe[1], b"x")
    with alarms(lambda: calls.append(1)):
        deadline = time.monotonic() + 20
        while not calls:
            assert poller.poll(1) == [(pipe[0], POLLIN)]
            assert time.monotonic() < deadline


def test_a_wakeup_descriptor(poller, pipe):
    reader, writer = pipe
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer)
    try:
        with alarms(lambda: None):
            assert poller.poll() == [(reader, POLLIN)]
    finally:
        signal.set_wakeup_fd(before)
    assert set(os.read(reader, 99)) == {signal.SIGALRM}


# The timeout passes while a handler runs.


def wait_with_a_slow_handler(poll, reader, writer):
    poller = poll()
    poller.register(reader, POLLIN)

    def handle_slowly():
        time.sleep(0.4)
        os.write(writer, b"x")

    with alarms(during_a_wait(poller, handle_slowly)):
        return poller.poll(300)


def test_select_poll_does_not_poll_again_after_the_timeout(pipe):
    assert wait_with_a_slow_handler(select.poll, *pipe) == []


def test_pollset_polls_once_more_after_the_timeout(pollset_poll, pipe):
    reader, writer = pipe
    assert wait_with_a_slow_handler(pollset_poll, reader, writer) == [(reader, POLLIN)]


def test_a_handler_that_outlasts_the_timeout_ends_the_wait(poller):
    with alarms(during_a_wait(poller, lambda: time.sleep(0.4))):
        seconds, result = seconds_of(poller.poll, 300)
    assert result == []
    assert seconds >= 0.3
