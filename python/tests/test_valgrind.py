"""valgrind reports nothing in pollset, and no more of the interpreter than without pollset."""

import os
import shutil
import subprocess
import sys
import sysconfig
import xml.etree.ElementTree as xml
from collections import Counter
from pathlib import Path

import pytest

CYCLES = 5000 if os.environ.get("POLLSET_LONG") else 100

pytestmark = [
    pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed"),
    pytest.mark.skipif(
        bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        reason="free-threaded Python has its own allocator, which valgrind can't observe",
    ),
]


def records(module, directory):
    """memcheck's errors and leaks in a program that uses `module`."""
    report = directory / f"{module}.xml"
    memcheck = ["valgrind", "--leak-check=full", "--show-leak-kinds=all", "--num-callers=20"]
    program = [sys.executable, Path(__file__).with_name("cycles.py"), module, str(CYCLES)]
    subprocess.run(
        [*memcheck, "--xml=yes", f"--xml-file={report}", *program],
        env={**os.environ, "PYTHONMALLOC": "malloc"},
        check=True,
    )
    return xml.parse(report).getroot().findall("error")


def is_leak(record):
    return record.findtext("kind").startswith("Leak")


def is_lost(record):
    """Memory with a pointer into its interior is not lost. Python has such pointers to objects."""
    return record.findtext("kind") in ("Leak_DefinitelyLost", "Leak_IndirectlyLost")


def is_in_pollset(record):
    return any("_pollset" in file.text for file in record.iter("obj"))


def blocks(record):
    return int(record.findtext("xwhat/leakedblocks"))


def test_no_errors_and_no_lost_memory(tmp_path):
    """Some Pythons lose many strings, one of them at the import of pollset."""
    standard, tested = (records(module, tmp_path) for module in ("select", "pollset"))
    errors, expected = (
        Counter(record.findtext("kind") for record in found if not is_leak(record))
        for found in (tested, standard)
    )
    assert not errors - expected
    lost, expected = (sum(map(blocks, filter(is_lost, found))) for found in (tested, standard))
    assert lost < expected + CYCLES // 2
    lost, expected = (
        sum(map(blocks, filter(is_lost, filter(is_in_pollset, found))))
        for found in (tested, standard)
    )
    assert lost <= expected
    in_pollset = list(filter(is_in_pollset, tested))
    assert in_pollset, "no frames of pollset"
    assert all(map(is_leak, in_pollset))
    assert max(map(blocks, in_pollset)) < CYCLES // 10, "each cycle leaks"
