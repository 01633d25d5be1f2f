"""What `import pollset` gives."""

import importlib.metadata
import select
import subprocess
import sys

import pollset


def test_every_constant_of_select_is_there_with_its_value():
    constants = {name: value for name, value in vars(select).items() if name.startswith("POLL")}
    assert {name: getattr(pollset, name) for name in constants} == constants
    assert {name for name in vars(pollset) if name.startswith("POLL")} == set(constants)


def test_error_is_os_error():
    assert pollset.error is select.error is OSError


def test_everything_is_exported():
    namespace = {}
    exec("from pollset import *", namespace)
    for name in ("poll", "error", "POLLIN", "POLLOUT", "install", "uninstall"):
        assert namespace[name] is getattr(pollset, name)


def test_the_version_is_that_of_the_package():
    assert pollset.__version__ == importlib.metadata.version("pollset")


PROGRAM = """
import os
import {module} as select

reader, writer = os.pipe()
poller = select.poll()
poller.register(reader, select.POLLIN)
os.write(writer, b"x")
try:
    poller.unregister(writer)
except KeyError:
    print(poller.poll(1000) == [(reader, select.POLLIN)])
"""


def test_it_serves_a_program_in_the_place_of_select():
    def run(module):
        program = [sys.executable, "-Werror", "-c", PROGRAM.format(module=module)]
        return subprocess.run(program, capture_output=True, text=True, check=True).stdout

    assert run("pollset") == run("select") == "True\n"
