"""How pollset.poll differs from select.poll: the rows of the table in docs/python.md, tested."""

import re
import resource
import select
import signal
import subprocess
import sys
from pathlib import Path
from select import POLLIN, POLLNVAL, POLLOUT

import pollset
import pytest
from support import (
    CONCURRENT,
    NOT_OPEN,
    Raised,
    open_descriptors,
    outcome,
    seconds_of,
    when_garbage_is_collected,
)

HERE = Path(__file__).parent
DOCUMENT = HERE.parent.parent / "docs" / "python.md"

DIFFERENCES = {
    "fractions of a millisecond": [
        "test_differences.py: test_fractions_of_a_millisecond",
        "test_selectors.py: test_fractions_of_a_millisecond_are_honoured",
    ],
    "the time is up after a signal handler has run": [
        "test_signals.py: test_select_poll_does_not_poll_again_after_the_timeout",
        "test_signals.py: test_pollset_polls_once_more_after_the_timeout",
    ],
    "a descriptor closed by another thread during a wait": [
        "test_threads.py: test_a_descriptor_closed_during_a_wait",
        "test_threads.py: test_a_descriptor_closed_during_a_wait_on_epoll",
    ],
    "a descriptor closed without being unregistered, in a large set that is mostly idle": [
        "test_results.py: test_a_descriptor_closed_without_unregistering",
    ],
    "fork while another thread waits": [
        "test_fork.py: test_select_poll_is_unusable_in_a_child_forked_during_a_wait",
        "test_fork.py: test_works_in_a_child_forked_during_a_wait",
    ],
    "the interpreter lock": [
        "test_threads.py: test_other_threads_run_during_a_wait",
        "test_other_threads.py: test_another_thread_gets_as_much_done_as_beside_select_poll",
    ],
    "result tuples": [
        "test_results.py: test_the_same_tuple_while_the_events_are_the_same",
    ],
    "a wrong number of arguments, or keywords; before Python 3.10, a call of the type": [
        "test_results.py: test_wrong_number_of_arguments",
        "test_results.py: test_keyword_arguments_are_refused",
        "test_type.py: test_the_type_cannot_be_instantiated",
    ],
    "more descriptors than a limit that was lowered since": [
        "test_differences.py: test_more_registrations_than_a_lowered_limit",
    ],
    "`poll()` of an object in a destructor that runs while its result is built": [
        "test_differences.py: test_poll_while_the_result_is_made",
    ],
    "no memory left for a registration": [
        "test_differences.py: test_out_of_memory",
    ],
    "subinterpreters, from Python 3.12 on": [
        "test_differences.py: test_subinterpreters",
    ],
    "in addition": [
        "test_engine.py: test_engine_is_keyword_only",
        "test_extras.py: test_an_empty_object_is_true_although_it_has_a_length",
    ],
}


def test_document_lists_the_same_differences():
    table = DOCUMENT.read_text(encoding="utf-8").split("| | `select.poll` | `pollset.poll` |\n")[1]
    rows = table.split("\n\n")[0].splitlines()[1:]
    assert [row.split(" | ")[0].strip("| ") for row in rows] == list(DIFFERENCES)


@pytest.mark.parametrize("test", [test for tests in DIFFERENCES.values() for test in tests])
def test_each_listed_test_exists(test):
    file, function = test.split(": ")
    assert re.search(rf"^def {function}\(", (HERE / file).read_text(encoding="utf-8"), re.M)


def test_fractions_of_a_millisecond(pollset_poll, pipe):
    def best(make, milliseconds):
        poller = make()
        poller.register(pipe[0], POLLIN)
        return min(seconds_of(poller.poll, milliseconds)[0] for _ in range(200))

    whole = best(select.poll, 1)
    assert 0.0001 <= best(pollset_poll, 0.1) < whole
    if sys.version_info >= (3, 15):
        assert 0.0001 <= best(select.poll, 0.1) < whole
    else:
        assert best(select.poll, 0.1) >= 0.001


def test_more_registrations_than_a_lowered_limit(pollset_poll):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = len(open_descriptors()) + 64
    fds = [NOT_OPEN - n for n in range(limit + 1)]
    standard, tested = select.poll(), pollset_poll()
    for fd in fds:
        standard.register(fd)
        tested.register(fd)
    everything = [(fd, POLLNVAL) for fd in fds]
    assert tested.poll(0) == standard.poll(0) == everything
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        refused = outcome(standard.poll, 0)
        assert refused.type is OSError
        assert outcome(tested.poll, 0) in (refused, everything)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert tested.poll(0) == standard.poll(0) == everything


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="new tuples start no garbage collection")
@pytest.mark.parametrize("make", [select.poll, pollset.poll], ids=["select", "pollset"])
def test_poll_while_the_result_is_made(make, descriptors):
    poller = make()
    for _ in range(300):
        poller.register(descriptors.writable(), POLLOUT)
    results = []
    with when_garbage_is_collected(lambda: results.append(outcome(poller.poll, 0))):
        poller.poll(0)
    if make is pollset.poll:
        assert results == [CONCURRENT]
    else:
        assert not isinstance(results[0], Raised)


def run(program):
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)


@pytest.mark.parametrize("module", ["select", "pollset"])
def test_out_of_memory(module):
    done = run(f"""
import resource
from pathlib import Path
import {module}

poller = {module}.poll()
pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
limit = pages * resource.getpagesize() + 2**26
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    for fd in range(10**7):
        poller.register(fd)
except MemoryError:
    print("MemoryError")
""")
    if module == "pollset":
        assert done.returncode == -signal.SIGABRT
        assert "memory allocation" in done.stderr
    else:
        assert (done.returncode, done.stdout) == (0, "MemoryError\n")


@pytest.mark.parametrize("module", ["select", "pollset"])
def test_subinterpreters(module):
    done = run(f"""
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

interpreter = interpreters.create()
print(interpreters.run_string(interpreter, "import {module}; {module}.poll().poll(0)"))
interpreters.destroy(interpreter)
""")
    if module == "pollset" and sys.version_info >= (3, 12):
        assert "does not support loading in subinterpreters" in done.stdout + done.stderr
    else:
        assert (done.returncode, done.stdout) == (0, "None\n")
