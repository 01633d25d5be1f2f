"""Runs CPython's own tests, unmodified, with pollset.poll() in place of select.poll(), and with
pollset.PollSelector in place of the default selector.

    python run.py [--long] DIRECTORY

It makes virtual environments in DIRECTORY. The interpreters of some install pollset when they
start, those of others don't. The run fails if a test fails with pollset and not without it.
"""

import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys
import sysconfig
import threading
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
# These use the resource "network" only for the loopback interface.
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

# Lines of a .pth file, which interpreters run when they start.
INSTALL = "import pollset; pollset.install()"
DELETE_EPOLL = "import select; del select.epoll"
INSTALL_SELECTOR = (
    "import selectors, pollset; "
    "selectors.DefaultSelector = selectors.PollSelector = pollset.PollSelector"
)
INSTALL_DEFAULT = "import selectors, pollset; selectors.DefaultSelector = pollset.PollSelector"


class Environments(NamedTuple):
    """The interpreters of two virtual environments: with pollset, and without it."""

    pollset: Path
    plain: Path
    check: str  # the test that verifies the installation
    remark: str  # the difference from the usual environments, for the output

    @classmethod
    def make(cls, directory, *pth_lines, install=INSTALL, check="swap_check", remark=""):
        pollset = make_environment(directory / "pollset", *pth_lines, install)
        return cls(pollset, make_environment(directory / "plain", *pth_lines), check, remark)


def make_environment(path, *pth_lines):
    """Makes a virtual environment with the packages of this one. Returns its interpreter."""
    venv.create(path, clear=True)
    site_packages = sysconfig.get_path("purelib", vars={"base": str(path)})
    pth = "\n".join([sysconfig.get_path("purelib"), *pth_lines])
    Path(site_packages, "environment.pth").write_text(pth, encoding="utf-8")
    return path / "bin" / "python"


class Result(NamedTuple):
    ran: int
    failed: set
    output: str
    seconds: float


def run(python, file, *checks):
    """Runs the checks and then a test file, in one process."""
    begin = time.monotonic()
    with TemporaryDirectory() as directory:
        report = Path(directory, "report.xml")
        command = [python, "-m", "test", "--verbose3", "--timeout", "600", "--junit-xml", report]
        command += ["-u", ",".join(resources(file)), "--testdir", HERE, *checks, f"test.{file}"]
        status, output = run_in_group(command, directory)
        cases = list(ElementTree.parse(report).iter("testcase")) if report.exists() else []
    ran = sum(case.find("skipped") is None for case in cases)
    failed = set(re.findall("^(?:ERROR|FAIL|UNEXPECTED SUCCESS): (.*)", output, re.MULTILINE))
    if not failed and (status or not ran):
        failed = {f"the whole file (exit status {status})"}
    return Result(ran, failed, output, time.monotonic() - begin)


def run_in_group(command, directory):
    """Runs a command in a process group of its own, which is killed at the end or after 40 minutes.

    A test may leave processes that never end, and that keep the output open.
    """
    process = subprocess.Popen(
        command,
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    killer = threading.Timer(40 * 60, os.killpg, [process.pid, signal.SIGKILL])
    killer.start()
    waiter = threading.Thread(target=kill_rest_of_group, args=[process])
    waiter.start()
    output = process.stdout.read()
    waiter.join()
    killer.cancel()
    process.stdout.close()
    return process.returncode, output


def kill_rest_of_group(process):
    process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def resources(file):
    """The resources that slow tests need, if this Python has them."""
    from test.libregrtest.cmdline import ALL_RESOURCES

    wanted = ["walltime", "cpu"] + ["network"] * (file in LOOPBACK_FILES)
    return [each for each in wanted if each in ALL_RESOURCES]


def is_installed(file):
    """Whether this Python has the test file. Many systems package Python without tests."""
    path = Path(sysconfig.get_path("stdlib"), "test", *file.split("."))
    return path.is_dir() or path.with_suffix(".py").exists()


def run_job(job):
    """Runs a file with pollset, and after a failure without it. Prints the results.

    Returns whether all tests passed or also failed without pollset. Tests that fail only with
    pollset run once more, as in CPython's own runs, because some depend on timing.
    """
    environments, file = job
    name = file + environments.remark
    if not is_installed(file):
        print(f"{name}: SKIPPED, not part of this Python", flush=True)
        return True
    result = run(environments.pollset, file, environments.check)
    lines = [f"{name}: {result.ran} tests, {result.seconds:.0f} s"]
    only_with_pollset = result.failed
    if result.failed:
        only_with_pollset = result.failed - run(environments.plain, file).failed
        known = result.failed - only_with_pollset
        lines += [f"  fails without pollset, too: {test}" for test in sorted(known)]
    if only_with_pollset:
        again = run(environments.pollset, file, environments.check).failed
        unstable = only_with_pollset - again
        lines += [f"  failed once, and not again: {test}" for test in sorted(unstable)]
        only_with_pollset &= again
        lines += [f"  FAILS only with pollset: {test}" for test in sorted(only_with_pollset)]
    if only_with_pollset:
        lines.insert(0, result.output)
    print("\n".join(lines), flush=True)
    return not only_with_pollset


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--long", action="store_true", help="also test more users of select.poll")
    parser.add_argument("directory", type=Path)
    options = parser.parse_args()
    # A shell ignores SIGINT in background jobs, and children inherit that. Tests send it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
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
    with ThreadPoolExecutor(4) as threads:  # most tests wait most of their time
        return all(list(threads.map(run_job, jobs)))


if __name__ == "__main__":
    sys.exit(not main())
