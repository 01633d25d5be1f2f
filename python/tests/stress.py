"""Many threads that change and ask the same objects at once; in the end they answer as the kernel.

python stress.py auto 10000    the engine, and how many changes each thread makes
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
    """Registers sockets of its own, uses them, and closes them, sometimes without unregistering."""

    def __init__(self, seed, pollers, selector):
        self.chance = random.Random(seed)
        self.pollers = pollers
        self.selector = selector
        self.pairs = []

    def run(self, changes):
        todo = [self.register, self.modify, self.unregister, self.register_key, self.modify_key]
        todo += [self.unregister_key, self.write, self.write, self.drain, self.drain]
        for n in range(changes):
            if len(self.pairs) < 20:
                self.open()
            elif n % 50 == 0:
                self.close(*self.pairs.pop(0))
            else:
                self.chance.choice(todo)(*self.chance.choice(self.pairs))

    def open(self):
        self.pairs.append(socket.socketpair())
        for end in self.pairs[-1]:
            end.setblocking(False)

    def register(self, end, _):
        assert self.a_poller().register(end, self.a_mask()) is None

    def modify(self, end, _):
        answer = outcome(self.a_poller().modify, end, self.a_mask())
        assert answer is None or answer.type is FileNotFoundError

    def unregister(self, end, _):
        answer = outcome(self.a_poller().unregister, end)
        assert answer is None or answer.type is KeyError

    def register_key(self, end, _):
        answer = outcome(self.selector.register, end, selectors.EVENT_READ, end)
        assert type(answer) is selectors.SelectorKey or answer.type is KeyError

    def modify_key(self, end, _):
        answer = outcome(self.selector.modify, end, selectors.EVENT_READ, end)
        assert type(answer) is selectors.SelectorKey or answer.type is KeyError

    def unregister_key(self, end, _):
        answer = outcome(self.selector.unregister, end)
        assert type(answer) is selectors.SelectorKey or answer.type is KeyError

    def write(self, _, peer):
        outcome(peer.send, b"x")

    def drain(self, end, _):
        outcome(end.recv, 99)

    def close(self, end, peer):
        outcome(self.selector.unregister, end)
        if self.chance.random() < 0.8:
            for poller in self.pollers:
                outcome(poller.unregister, end)
        end.close()
        peer.close()

    def a_poller(self):
        return self.chance.choice(self.pollers)

    def a_mask(self):
        return self.chance.choice(MASKS)


def wait(poller, timeout, stop):
    """Every answer is possible; returns how many there were."""
    answers = 0
    while not stop.is_set():
        answer = outcome(poller.poll, timeout)
        if answer != CONCURRENT:
            answers += 1
            assert all(event & ~POSSIBLE == 0 < event for _, event in answer)
            assert len({fd for fd, _ in answer}) == len(answer)
    return answers


def wait_for_keys(selector, stop):
    answers = 0
    while not stop.is_set():
        for key, events in selector.select(0.001):
            answers += 1
            assert key.fileobj is key.data
            assert events == selectors.EVENT_READ
    return answers


def answers_as_the_kernel(poller):
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
        print("answers:", *(waiter.result() for waiter in waiting))
    for poller in pollers:
        until(lambda poller=poller: answers_as_the_kernel(poller))


if __name__ == "__main__":
    faulthandler.dump_traceback_later(500, exit=True)
    main(sys.argv[1], int(sys.argv[2]))
