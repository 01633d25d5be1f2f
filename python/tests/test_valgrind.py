"""valgrind finds nothing in ours, and in the interpreter no more than with the standard library."""

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
        reason="free-threaded Python has an allocator of its own, which valgrind can't see into",
    ),
]


def records(kind, directory):
    """What memcheck tells of a program that uses `kind`: errors, and memory that is not freed."""
    report = directory / f"{kind}.xml"
    memcheck = ["valgrind", "--leak-check=full", "--show-leak-kinds=all", "--num-callers=20"]
    program = [sys.executable, Path(__file__).with_name("cycles.py"), kind, str(CYCLES)]
    subprocess.run(
        [*memcheck, "--xml=yes", f"--xml-file={report}", *program],
        env={**os.environ, "PYTHONMALLOC": "malloc"},
        check=True,
    )
    return xml.parse(report).getroot().findall("error")


def is_leak(record):
    return record.findtext("kind").startswith("Leak")


def is_lost(record):
    """Not so what is reached by a pointer into it, as Python has it of its objects."""
    return record.findtext("kind") in ("Leak_DefinitelyLost", "Leak_IndirectlyLost")


def is_in_ours(record):
    return any("_pollset" in file.text for file in record.iter("obj"))


def blocks(record):
    return int(record.findtext("xwhat/leakedblocks"))


def test_errors_and_lost_memory(tmp_path):
    """Some Pythons lose many strings by themselves, one of them when ours is imported."""
    theirs, ours = (records(kind, tmp_path) for kind in ("select", "pollset"))
    errors, expected = (
        Counter(record.findtext("kind") for record in found if not is_leak(record))
        for found in (ours, theirs)
    )
    assert not errors - expected
    lost, expected = (sum(map(blocks, filter(is_lost, found))) for found in (ours, theirs))
    assert lost < expected + CYCLES // 2
    lost, expected = (
        sum(map(blocks, filter(is_lost, filter(is_in_ours, found)))) for found in (ours, theirs)
    )
    assert lost <= expected
    in_ours = list(filter(is_in_ours, ours))
    assert in_ours, "it can't see into ours"
    assert all(map(is_leak, in_ours))
    assert max(map(blocks, in_ours)) < CYCLES // 10, "each cycle leaves some"
