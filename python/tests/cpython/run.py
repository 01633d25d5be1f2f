"""Runs CPython's own tests, unmodified, with pollset.poll() in place of select.poll(), and with
pollset.PollSelector in place of the selector that is used by default.

    python run.py [--long] DIRECTORY

DIRECTORY is for virtual environments. They differ in what their interpreters do when they start:
in some they put pollset in place, in others they don't. A test that fails with pollset has to fail
without it, too, or else the run has failed.
"""

import argparse
import re
import subprocess
import sys
import sysconfig
import time
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from xml.etree import ElementTree

HERE = Path(__file__).resolve().parent

FILES = [
    "test_subprocess",
    "test_socketserver",
    "test_eintr",
    "test_selectors",
    "test_poll",
    "test_select",
]
LONG_FILES = [
    "test_asyncio",
    "test_multiprocessing_spawn",
    "test_multiprocessing_forkserver",
    "test_multiprocessing_fork",
    "test_multiprocessing_main_handling",
    # A package from 3.12 on.
    "test_concurrent_futures" + ".test_process_pool" * (sys.version_info >= (3, 12)),
    "test_logging",
    "test_threading",
    "test_smtplib",
    "test_imaplib",
    "test_httpservers",
    "test_xmlrpc",
]
# Where "network" is no more than the loopback interface.
LOOPBACK_FILES = ["test_socketserver"]
FILES_WITHOUT_EPOLL = ["test_asyncio"]
FILES_ON_DEFAULT = ["test_selectors"]
FILES_ON_SELECTOR = [
    "test_asyncio.test_events",
    "test_asyncio.test_selector_events",
    "test_asyncio.test_sendfile",
    "test_asyncio.test_sock_lowlevel",
    "test_asyncio.test_streams",
    "test_asyncio.test_subprocess",
    "test_asyncio.test_unix_events",
]
LONG_FILES_ON_SELECTOR = ["test_asyncio"]

# What interpreters do when they start: lines of a .pth file.
INSTALL = "import pollset; pollset.install()"
DELETE_EPOLL = "import select; del select.epoll"
INSTALL_SELECTOR = (
    "import selectors, pollset; "
    "selectors.DefaultSelector = selectors.PollSelector = pollset.PollSelector"
)
INSTALL_DEFAULT = "import selectors, pollset; selectors.DefaultSelector = pollset.PollSelector"


class Environments(NamedTuple):
    """The interpreters of two virtual environments, and in what way they are not the usual ones."""

    pollset: Path
    plain: Path
    check: str
    remark: str

    @classmethod
    def make(cls, directory, *at_start, install=INSTALL, check="swap_check", remark=""):
        pollset = make_environment(directory / "pollset", *at_start, install)
        return cls(pollset, make_environment(directory / "plain", *at_start), check, remark)


def make_environment(path, *at_start):
    """A virtual environment that has the packages of this one; tells its interpreter."""
    venv.create(path, clear=True)
    site_packages = sysconfig.get_path("purelib", vars={"base": str(path)})
    pth = "\n".join([sysconfig.get_path("purelib"), *at_start])
    Path(site_packages, "environment.pth").write_text(pth, encoding="utf-8")
    return path / "bin" / "python"


class Result(NamedTuple):
    ran: int
    failed: set
    output: str
    seconds: float


def run(python, file, *checks):
    """Runs a test file after the checks, in one process."""
    begin = time.monotonic()
    with TemporaryDirectory() as directory:
        report = Path(directory, "report.xml")
        command = [python, "-m", "test", "--verbose3", "--timeout", "600", "--junit-xml", report]
        command += ["-u", ",".join(resources(file)), "--testdir", HERE, *checks, f"test.{file}"]
        done = subprocess.run(
            command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        cases = list(ElementTree.parse(report).iter("testcase")) if report.exists() else []
    ran = sum(case.find("skipped") is None for case in cases)
    failed = set(re.findall("^(?:ERROR|FAIL|UNEXPECTED SUCCESS): (.*)", done.stdout, re.MULTILINE))
    if not failed and (done.returncode or not ran):
        failed = {f"the whole file (exit status {done.returncode})"}
    return Result(ran, failed, done.stdout, time.monotonic() - begin)


def resources(file):
    """What slow or demanding tests ask for, as far as this Python knows it."""
    from test.libregrtest.cmdline import ALL_RESOURCES

    wanted = ["walltime", "cpu"] + ["network"] * (file in LOOPBACK_FILES)
    return [each for each in wanted if each in ALL_RESOURCES]


def is_there(file):
    """Many systems package Python without its tests, or with some."""
    path = Path(sysconfig.get_path("stdlib"), "test", *file.split("."))
    return path.is_dir() or path.with_suffix(".py").exists()


def is_well(job):
    """Runs a file with pollset, and if there is a failure, without it; prints what came of it.

    What fails only with pollset gets a second chance, as in CPython's own runs: some of these tests
    go by the clock.
    """
    environments, file = job
    name = file + environments.remark
    if not is_there(file):
        print(f"{name}: SKIPPED, this Python comes without it", flush=True)
        return True
    result = run(environments.pollset, file, environments.check)
    lines = [f"{name}: {result.ran} tests, {result.seconds:.0f} s"]
    ours = result.failed
    if result.failed:
        ours = result.failed - run(environments.plain, file).failed
        lines += [f"  fails without pollset, too: {test}" for test in sorted(result.failed - ours)]
    if ours:
        again = run(environments.pollset, file, environments.check).failed
        lines += [f"  failed once, and not again: {test}" for test in sorted(ours - again)]
        ours &= again
        lines += [f"  FAILS only with pollset: {test}" for test in sorted(ours)]
    if ours:
        lines.insert(0, result.output)
    print("\n".join(lines), flush=True)
    return not ours


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--long", action="store_true", help="all files that go through select.poll")
    parser.add_argument("directory", type=Path)
    options = parser.parse_args()
    directory = options.directory.resolve()
    usual = Environments.make(directory / "usual")
    on_selector = Environments.make(
        directory / "on-selector",
        install=INSTALL_SELECTOR,
        check="selector_check",
        remark=" on pollset.PollSelector",
    )
    on_default = Environments.make(
        directory / "on-default",
        install=INSTALL_DEFAULT,
        check="default_check",
        remark=" with pollset.PollSelector as DefaultSelector",
    )
    jobs = [(usual, file) for file in FILES]
    jobs += [(on_default, file) for file in FILES_ON_DEFAULT]
    jobs += [(on_selector, file) for file in FILES_ON_SELECTOR]
    if options.long:
        jobs += [(on_selector, file) for file in LONG_FILES_ON_SELECTOR]
        jobs += [(usual, file) for file in LONG_FILES]
        without_epoll = Environments.make(
            directory / "without-epoll", DELETE_EPOLL, remark=" without epoll"
        )
        jobs += [(without_epoll, file) for file in FILES_WITHOUT_EPOLL]
    with ThreadPoolExecutor(2) as two_at_a_time:
        return all(list(two_at_a_time.map(is_well, jobs)))


if __name__ == "__main__":
    sys.exit(not main())
