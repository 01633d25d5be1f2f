"""Runs an unchanged program with pollset.poll in place of select.poll."""

import argparse
import os
import pkgutil
import runpy
import sys
from importlib.machinery import SourceFileLoader
from types import ModuleType

from . import __version__, install


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m pollset",
        usage="%(prog)s [-h] [--version] (SCRIPT | -m MODULE) [ARGS ...]",
        description="Run a program with pollset.poll() in place of select.poll(), also where "
        "selectors, subprocess, socketserver and multiprocessing use it.",
        epilog="The program sees the arguments, the import path and the __main__ module that "
        "python itself would give it. Python processes that it starts are not affected, but for "
        "those that it forks.",
    )
    parser.add_argument("--version", action="version", version=f"pollset {__version__}")
    parser.add_argument(
        "-m",
        dest="module",
        metavar="MODULE",
        nargs=argparse.REMAINDER,
        help="run a module or a package, as python -m does",
    )
    parser.add_argument(
        "script",
        metavar="SCRIPT",
        nargs="?",
        help="a file of Python source, or a directory or zip file with a __main__.py",
    )
    parser.add_argument("args", metavar="ARGS", nargs=argparse.REMAINDER, help="its arguments")
    options = parser.parse_args()
    if bool(options.module) == bool(options.script):
        parser.error("give either a SCRIPT, or -m and a MODULE")

    install()
    sys.modules["__main__"] = ModuleType("__main__")
    if options.module:
        run_module(*options.module)
    elif pkgutil.get_importer(options.script):
        run_directory(options.script, *options.args)
    else:
        run_script(options.script, *options.args)


# What `python -m` itself calls. runpy's public functions take the program's __main__ module away
# when its last line is done, though its threads and exit handlers may still be running.
_run_as_main = runpy._run_module_as_main  # type: ignore[attr-defined]


def run_module(name: str, *args: str) -> None:
    sys.argv = ["-m", *args]
    _run_as_main(name)


def run_directory(path: str, *args: str) -> None:
    sys.argv = [path, *args]
    leave_current_directory()
    sys.path.insert(0, os.path.abspath(path))
    _run_as_main("__main__", alter_argv=False)


def run_script(path: str, *args: str) -> None:
    sys.argv = [path, *args]
    path = os.path.abspath(path)
    loader = SourceFileLoader("__main__", path)
    try:
        source = loader.get_data(path)
    except OSError as error:
        problem = f"can't open file {path!r}: [Errno {error.errno}] {error.strerror}"
        print(f"{sys.executable}: {problem}", file=sys.stderr)
        sys.exit(2)
    if leave_current_directory():
        sys.path.insert(0, os.path.dirname(os.path.realpath(path)))
    namespace = vars(sys.modules["__main__"])
    namespace.update(__file__=path, __cached__=None, __loader__=loader)
    exec(loader.source_to_code(source, path), namespace)  # noqa: S102, that is what this is for


def leave_current_directory() -> bool:
    """Undo what `python -m pollset` did to the import path, if it did."""
    has_put_it_there = not getattr(sys.flags, "safe_path", sys.flags.isolated)
    if has_put_it_there:
        del sys.path[0]
    return has_put_it_there


if __name__ == "__main__":
    main()
