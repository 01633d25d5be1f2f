"""Runs an unmodified program with pollset.poll in place of select.poll."""

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
        description="Run a program with pollset.poll() in place of select.poll(), including its "
        "uses in selectors, subprocess, socketserver and multiprocessing.",
        epilog="The program gets the same arguments, import path and __main__ module as from "
        "python itself. Python processes that it forks use pollset.poll(), too; others that it "
        "starts don't.",
    )
    parser.add_argument("--version", action="version", version=f"pollset {__version__}")
    parser.add_argument("-m", action="store_true", dest="is_module", help="run a module by name")
    parser.add_argument(
        "program",
        metavar="SCRIPT",
        help="a Python source file, or a directory or zip file with a __main__.py",
    )
    # The arguments after the program's name belong to the program.
    first_arg = 3 if sys.argv[1:2] == ["-m"] else 2
    options = parser.parse_args(sys.argv[1:first_arg])
    args = sys.argv[first_arg:]

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


# The function that `python -m` calls. runpy's public functions remove the program's __main__ module
# after its last line, while its threads and exit handlers may still run.
_run_as_main = runpy._run_module_as_main  # type: ignore[attr-defined]


def run_module(name: str, args: list[str]) -> None:
    sys.argv = ["-m", *args]
    _run_as_main(name)


def run_directory(path: str, args: list[str]) -> None:
    sys.argv = [path, *args]
    remove_current_directory()
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
    if remove_current_directory():
        sys.path.insert(0, os.path.dirname(os.path.realpath(path)))
    namespace = vars(sys.modules["__main__"])
    namespace.update(__file__=path, __loader__=loader)
    if sys.version_info < (3, 15):
        namespace["__cached__"] = None
    exec(compile(source, path, "exec", dont_inherit=True), namespace)


def remove_current_directory() -> bool:
    """Remove the current directory, which `python -m` prepends to the import path.

    Returns whether it was there.
    """
    is_on_path = not getattr(sys.flags, "safe_path", sys.flags.isolated)
    if is_on_path:
        del sys.path[0]
    return is_on_path


def show_exception(
    kind: type[BaseException], error: BaseException, traceback: types.TracebackType | None
) -> None:
    """Show the traceback without the frames of this module and of runpy."""
    entry = traceback
    while entry:
        if entry.tb_frame.f_globals is globals():
            traceback = entry.tb_next
        entry = entry.tb_next
    sys.__excepthook__(kind, error.with_traceback(traceback), traceback)


if __name__ == "__main__":
    main()
