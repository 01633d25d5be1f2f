"""Many threads change and poll the same objects. In the end, the results are those of the kernel.

python stress.py auto 10000    the engine, and the number of changes by each thread
"""

import faulthandler
import random
import selectors
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from select import POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, poll as select_poll

import pollset
from support import CONCURRENT, outcome, until

MASKS = [0, POLLIN, POLLOUT, POLLIN | POLLOUT]
POSSIBLE = POLLIN | POLLOUT | POLLERR | POLLHUP | POLLNVAL


class Changer:
    """Registers its own sockets, uses them, and closes them, sometimes without unregistering."""

    def __init__(self, seed, pollers, selector):
        self.random = random.Random(seed)
        self.pollers = pollers
        self.selector = selector
        self.pairs = []

    def run(self, changes):
        actions = [self.register, self.modify, self.unregister, self.register_key, self.modify_key]
        actions += [self.unregister_key, self.write, self.write, self.drain, self.drain]
        for n in range(changes):
            if len(self.pairs) < 20:
                self.open()
            elif n % 50 == 0:
                self.close(*self.pairs.pop(0))
            else:
                self.random.choice(actions)(*self.random.choice(self.pairs))

    def open(self):
        self.pairs.append(socket.socketpair())
        for end in self.pairs[-1]:
            end.setblocking(False)

    def register(self, end, _):
        assert self.random_poller().register(end, self.random_mask()) is None

    def modify(self, end, _):
        result = outcome(self.random_poller().modify, end, self.random_mask())
        assert result is None or result.type is FileNotFoundError

    def unregister(self, end, _):
        result = outcome(self.random_poller().unregister, end)
        assert result is None or result.type is KeyError

    def register_key(self, end, _):
        result = outcome(self.selector.register, end, selectors.EVENT_READ, end)
        assert type(result) is selectors.SelectorKey or result.type is KeyError

    def modify_key(self, end, _):
        result = outcome(self.selector.modify, end, selectors.EVENT_READ, end)
        assert type(result) is selectors.SelectorKey or result.type is KeyError

    def unregister_key(self, end, _):
        result = outcome(self.selector.unregister, end)
        assert type(result) is selectors.SelectorKey or result.type is KeyError

    def write(self, _, peer):
        outcome(peer.send, b"x")

    def drain(self, end, _):
        outcome(end.recv, 99)

    def close(self, end, peer):
        outcome(self.selector.unregister, end)
        if self.random.random() < 0.8:
            for poller in self.pollers:
                outcome(poller.unregister, end)
        end.close()
        peer.close()

    def random_poller(self):
        return self.random.choice(self.pollers)

    def random_mask(self):
        return self.random.choice(MASKS)


def wait(poller, timeout, stop):
    """Checks results for impossible events, and returns the number of results."""
    count = 0
    while not stop.is_set():
        result = outcome(poller.poll, timeout)
        if result != CONCURRENT:
            count += 1
            assert all(event & ~POSSIBLE == 0 < event for _, event in result)
            assert len({fd for fd, _ in result}) == len(result)
    return count


def wait_for_keys(selector, stop):
    count = 0
    while not stop.is_set():
        for key, events in selector.select(0.001):
            count += 1
            assert key.fileobj is key.data
            assert events == selectors.EVENT_READ
    return count


def agrees_with_kernel(poller):
    kernel = select_poll()
    for fd, mask in poller:
        kernel.register(fd, mask)
    return poller.poll(0) == kernel.poll(0)


def main(engine, changes):
    shared, *own = pollers = [pollset.poll(engine=engine) for _ in range(5)]
    selector = pollset.PollSelector()
    stop = threading.Event()
    changers = [Changer(seed, [shared, own[0], each], selector) for seed, each in enumerate(own)]
    with ThreadPoolExecutor(20) as threads:
        waiting = [threads.submit(wait, shared, timeout, stop) for timeout in (0, 0.5, 2)]
        waiting += [threads.submit(wait, each, 1, stop) for each in own]
        waiting += [threads.submit(wait_for_keys, selector, stop)]
        changing = [threads.submit(changer.run, changes) for changer in changers]
        for changer in changing:
            changer.result()
        stop.set()
        print("results:", *(waiter.result() for waiter in waiting))
    for poller in pollers:
        until(lambda poller=poller: agrees_with_kernel(poller))


if __name__ == "__main__":
    faulthandler.dump_traceback_later(500, exit=True)
    main(sys.argv[1], int(sys.argv[2]))
