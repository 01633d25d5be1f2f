"""Cycles that make polling objects and selectors, call all their methods and drop them.

python cycles.py select 1000     with the standard library
python cycles.py pollset 1000    with pollset, which is imported in both cases
"""

import functools
import os
import select
import selectors
import sys
from select import POLLIN, POLLOUT

import pollset
from support import HasFileno, outcome

ENGINES = [functools.partial(pollset.poll, engine=engine) for engine in ("auto", "poll", "epoll")]
MODULES = {
    "select": ([select.poll] * len(ENGINES), selectors.PollSelector),
    "pollset": (ENGINES, pollset.PollSelector),
}


def use_poll(poller, readable, writable, idle):
    poller.register(HasFileno(readable), POLLIN)
    poller.register(writable)
    for fd in idle:
        poller.register(fd, POLLIN)
    poller.modify(writable, 0)
    expected = [(readable, POLLIN)]
    results = [poller.poll(timeout) for timeout in (0, None, 1, 0.5)]
    assert results == [expected] * 4
    poller.modify(writable, POLLOUT)
    poller.unregister(readable)
    assert poller.poll() == [(writable, POLLOUT)]
    poller.unregister(writable)
    assert poller.poll(0.001) == []
    for argument in (-1, 2**31, 2**70, "1", None, HasFileno("1"), 1.5):
        assert outcome(poller.register, argument).type
        assert outcome(poller.modify, idle[0], argument).type
        assert outcome(poller.unregister, argument).type
    for timeout in (2**70, "1", float("nan")):
        assert outcome(poller.poll, timeout).type


def use_selector(selector, readable, writable, idle):
    key = selector.register(readable, selectors.EVENT_READ, object())
    for fd in idle:
        selector.register(fd, selectors.EVENT_READ)
    assert selector.select() == selector.select(0) == [(key, selectors.EVENT_READ)]
    selector.modify(readable, selectors.EVENT_WRITE, object())
    assert selector.select(0) == selector.select(1e-6) == []
    assert outcome(selector.select, "1").type is TypeError
    selector.unregister(readable)
    selector.close()


def main(module, cycles):
    makers, selector = MODULES[module]
    readable, writable = os.pipe()
    os.write(writable, b"x")
    idle = [os.pipe()[0] for _ in range(20)]
    for _ in range(cycles):
        for make in makers:
            use_poll(make(), readable, writable, idle)
        use_selector(selector(), readable, writable, idle)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
