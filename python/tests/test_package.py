"""The names of the package."""

import importlib.metadata
import select
import subprocess
import sys

import pollset
from support import Raised, outcome

POLLSET_NAMES = ["PollSelector", "Stats", "install", "new_event_loop", "poll", "uninstall"]
SELECT_NAMES = [name for name in dir(select) if not name.startswith("_")]


def test_all_other_names_are_those_of_select():
    assert {"select", "error", "PIPE_BUF", "POLLIN"} <= set(SELECT_NAMES)
    for name in SELECT_NAMES:
        assert getattr(pollset, name) is getattr(select, name) or name == "poll"
    assert pollset.poll is not select.poll
    assert pollset.error is OSError


def test_the_public_names():
    public = [name for name in dir(pollset) if not name.startswith("_")]
    assert public == sorted(pollset.__all__) == sorted({*POLLSET_NAMES, *SELECT_NAMES})


def test_everything_is_exported():
    namespace = {}
    exec("from pollset import *", namespace)
    del namespace["__builtins__"]
    assert namespace == {name: getattr(pollset, name) for name in pollset.__all__}


def test_an_unknown_name_is_an_attribute_error():
    error = outcome(lambda: select.nothing)
    text = error.text.replace("'select'", "'pollset'")
    assert outcome(lambda: pollset.nothing) == Raised(AttributeError, text)


def test_names_of_select_are_bound_at_import():
    program = """
import select
before = select.select
replacement = select.select = lambda *_: None
del select.PIPE_BUF
import pollset
print(pollset.select is replacement, hasattr(pollset, "PIPE_BUF"))
select.select = before
del select.error
from pollset import *
print(select is replacement, error is OSError)
"""
    command = [sys.executable, "-c", program]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert output == "True False\nTrue True\n"


def test_the_version_is_that_of_the_package():
    assert pollset.__version__ == importlib.metadata.version("pollset")


PROGRAM = """
import os
import {module} as select

reader, writer = os.pipe()
assert select.select([reader], [writer], [], 0) == ([], [writer], [])
assert select.PIPE_BUF >= 512
if hasattr(select, "epoll"):
    with select.epoll() as epoll:
        epoll.register(writer, select.EPOLLOUT)
        assert epoll.poll(0) == [(writer, select.EPOLLOUT)]
poller = select.poll()
poller.register(reader, select.POLLIN)
os.write(writer, b"x")
try:
    poller.unregister(writer)
except KeyError:
    print(poller.poll(1000) == [(reader, select.POLLIN)])
"""


def test_a_program_runs_with_pollset_in_place_of_select():
    def run(module):
        program = [sys.executable, "-Werror", "-c", PROGRAM.format(module=module)]
        return subprocess.run(program, capture_output=True, text=True, check=True).stdout

    assert run("pollset") == run("select") == "True\n"
