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


def is_in_ours(record):
    return any("_pollset" in file.text for file in record.iter("obj"))


def is_kept(record):
    """Reachable when the program ends, or by a pointer into it, as Python has it of its objects."""
    return record.findtext("kind") in ("Leak_StillReachable", "Leak_PossiblyLost")


def blocks(record):
    return int(record.findtext("xwhat/leakedblocks"))


def test_errors_and_lost_memory(tmp_path):
    theirs, ours = (records(kind, tmp_path) for kind in ("select", "pollset"))
    kinds, allowed = (
        Counter(record.findtext("kind") for record in found if not is_kept(record))
        for found in (ours, theirs)
    )
    assert not kinds - allowed
    in_ours = [record for record in ours if is_in_ours(record)]
    assert in_ours, "it can't see into ours"
    assert all(is_kept(record) for record in in_ours)
    assert max(map(blocks, in_ours)) < CYCLES // 10, "it is kept by each cycle"
