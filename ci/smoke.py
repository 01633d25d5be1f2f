"""Uses the installed package once: that it loads, polls, and replaces select.poll."""

import os
import select
import selectors

import pollset

reader, writer = os.pipe()

poller = pollset.poll()
poller.register(reader, pollset.POLLIN)
assert poller.poll(0) == []
os.write(writer, b"x")
assert poller.poll() == [(reader, pollset.POLLIN)]

with pollset.PollSelector() as selector:
    key = selector.register(reader, selectors.EVENT_READ)
    assert selector.select() == [(key, selectors.EVENT_READ)]

pollset.install()
assert select.poll is pollset.poll

print("pollset", pollset.__version__, "from", pollset.__file__)
