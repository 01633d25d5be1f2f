"""Runs an unchanged program with pollset.poll in place of select.poll."""

from __future__ import annotations

import argparse
import builtins
import os
import pkgutil
import runpy
import sys
import types
from importlib.machinery import SourceFileLoader

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
    parser.add_argument("-m", action="store_true", dest="is_module", help="run a module by name")
    parser.add_argument(
        "program",
        metavar="SCRIPT",
        help="a file of Python source, or a directory or zip file with a __main__.py",
    )
    ours = 3 if sys.argv[1:2] == ["-m"] else 2  # the rest is the program's, untouched
    options = parser.parse_args(sys.argv[1:ours])
    args = sys.argv[ours:]

    install()
    sys.excepthook = show_exception
    sys.modules["__main__"] = types.ModuleType("__main__")
    vars(sys.modules["__main__"])["__builtins__"] = builtins
    if options.is_module:
        run_module(options.program, args)
    elif pkgutil.get_importer(options.program):
        run_directory(options.program, args)
    else:
        run_script(options.program, args)


# What `python -m` itself calls. runpy's public functions take the program's __main__ module away
# when its last line is done, though its threads and exit handlers may still be running.
_run_as_main = runpy._run_module_as_main  # type: ignore[attr-defined]


def run_module(name: str, args: list[str]) -> None:
    sys.argv = ["-m", *args]
    _run_as_main(name)


def run_directory(path: str, args: list[str]) -> None:
    sys.argv = [path, *args]
    leave_current_directory()
    sys.path.insert(0, os.path.abspath(path))
    _run_as_main("__main__", alter_argv=False)


def run_script(path: str, args: list[str]) -> None:
    sys.argv = [path, *args]
    path = os.path.join(os.getcwd(), path)
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
    namespace.update(__file__=path, __loader__=loader)
    if sys.version_info < (3, 15):
        namespace["__cached__"] = None
    exec(compile(source, path, "exec", dont_inherit=True), namespace)


def leave_current_directory() -> bool:
    """Undo what `python -m pollset` did to the import path, if it did."""
    has_put_it_there = not getattr(sys.flags, "safe_path", sys.flags.isolated)
    if has_put_it_there:
        del sys.path[0]
    return has_put_it_there


def show_exception(
    kind: type[BaseException], error: BaseException, traceback: types.TracebackType | None
) -> None:
    """Show the program's part of the traceback."""
    call = traceback
    while call:
        if call.tb_frame.f_globals is globals():
            traceback = call.tb_next
        call = call.tb_next
    sys.__excepthook__(kind, error.with_traceback(traceback), traceback)


if __name__ == "__main__":
    main()
