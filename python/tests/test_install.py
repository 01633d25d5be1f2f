"""install() and uninstall(), and `python -m pollset`."""

import signal
import subprocess
import sys
import textwrap

import pytest

CHECK = """
import select, selectors, pollset
print(select.poll is pollset.poll, selectors.PollSelector._selector_cls is pollset.poll)
"""


def run(*command, check=True, **kwargs):
    """Runs an interpreter with these arguments."""
    return subprocess.run(
        [sys.executable, *map(str, command)], capture_output=True, text=True, check=check, **kwargs
    )


def output(code, *arguments):
    """Runs a program, and returns the lines that it prints."""
    return run("-c", textwrap.dedent(code), *arguments).stdout.splitlines()


def test_importing_changes_nothing():
    assert output(CHECK) == ["False False"]


def test_install_replaces_poll_in_select_and_poll_selector():
    assert output("import pollset; pollset.install()" + CHECK) == ["True True"]


def test_install_after_selectors_was_imported():
    assert output("import selectors, pollset; pollset.install()" + CHECK) == ["True True"]


def test_uninstall_restores_the_originals():
    assert output("""
        import select, selectors
        before = select.poll, selectors.PollSelector._selector_cls
        import pollset
        pollset.install()
        pollset.uninstall()
        print((select.poll, selectors.PollSelector._selector_cls) == before)
        pollset.install()
        print(select.poll is pollset.poll)
        pollset.uninstall()
        print(select.poll is before[0])
    """) == ["True", "True", "True"]


def test_repeated_calls_have_no_effect():
    lines = output("""
        import select, selectors
        before = select.poll
        import pollset
        pollset.uninstall()
        print(select.poll is before)
        pollset.install()
        pollset.install()
        print(select.poll is pollset.poll)
        pollset.uninstall()
        print(select.poll is before)
        pollset.uninstall()
        print(select.poll is before)
    """)
    assert lines == ["True"] * 4


def test_uninstall_keeps_a_later_replacement():
    assert output("""
        import select, pollset
        pollset.install()
        other = select.poll = lambda: None
        pollset.uninstall()
        print(select.poll is other)
    """) == ["True"]


def test_uninstall_keeps_pollset_poll_that_install_did_not_set():
    assert output("""
        import select, pollset
        for _ in range(2):
            select.poll = pollset.poll
            pollset.uninstall()
            print(select.poll is pollset.poll)
            select.poll = lambda: None
            pollset.install()
            pollset.uninstall()
    """) == ["True", "True"]


def test_uninstall_restores_the_latest_original():
    assert output("""
        import select, pollset
        pollset.install()
        other = select.poll = lambda: None
        pollset.install()
        pollset.uninstall()
        print(select.poll is other)
    """) == ["True"]


def test_nothing_else_is_replaced():
    assert output("""
        import select, selectors
        def others():
            names = {name: value for name, value in vars(select).items() if name != "poll"}
            return names, selectors.DefaultSelector, selectors.EpollSelector._selector_cls
        before = others()
        import pollset
        pollset.install()
        print(others() == before)
    """) == ["True"]


def test_a_replaced_selector_class_keeps_working():
    assert output("""
        import os, selectors, pollset
        selectors.PollSelector = pollset.PollSelector
        pollset.install()
        reader, writer = os.pipe()
        selector = selectors.PollSelector()
        selector.register(writer, selectors.EVENT_WRITE)
        print(len(selector.select()))
        pollset.uninstall()
        print(len(selector.select()))
    """) == ["1", "1"]


def test_install_returns_the_modules_that_have_the_old_function():
    assert output("""
        import sys, types
        for name in ("zebra", "ape", "bee"):
            sys.modules[name] = types.ModuleType(name)
            exec("from select import poll as original_poll", vars(sys.modules[name]))
        sys.modules["other"] = types.ModuleType("other")
        import pollset
        print(pollset.install())
        print(sys.modules["ape"].original_poll is pollset.poll)
        print(pollset.install())
    """) == ["['ape', 'bee', 'zebra']", "False", "['ape', 'bee', 'zebra']"]


def test_install_returns_no_modules_if_none_has_the_old_function():
    assert output("""
        import selectors, subprocess, socketserver, multiprocessing.connection, asyncio
        import pollset
        print(pollset.install())
    """) == ["[]"]


def test_install_ignores_unusual_entries_of_sys_modules():
    """Entries without a namespace, and entries with side effects when an attribute is read."""
    assert output("""
        import sys, types
        class Loads(types.ModuleType):
            def __getattribute__(self, name):
                raise SystemExit("an attribute was read")
        sys.modules["lazy"] = Loads("lazy")
        sys.modules["none"] = None
        sys.modules["number"] = 5
        class Array:
            def __eq__(self, other):
                raise SystemExit("it was compared")
        sys.modules["arrays"] = types.ModuleType("arrays")
        sys.modules["arrays"].array = Array()
        import pollset
        print(pollset.install())
    """) == ["[]"]


@pytest.mark.parametrize("module", ["selectors", "subprocess", "multiprocessing", "socketserver"])
def test_the_standard_library_uses_pollset(module):
    """Modules that were imported before install(), and after it."""
    programs = {
        "selectors": "print(type(selectors.PollSelector()._selector).__module__)",
        "subprocess": """
command = [sys.executable, "-c", "print(input())"]
done = subprocess.run(command, input="pollset", capture_output=True, text=True, check=True)
print(done.stdout, end="")
""",
        "multiprocessing": """
import multiprocessing.connection
receiver, sender = multiprocessing.Pipe()
sender.send("pollset")
[ready] = multiprocessing.connection.wait([receiver])
print(ready.recv())
""",
        "socketserver": """
with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as server:
    server.timeout = 0
    server.handle_timeout = lambda: print("pollset")
    server.handle_request()
""",
    }
    install = "import sys, select, pollset; pollset.install()\n"
    imports = f"import sys, selectors, {module}\n"
    assert output(imports + install + programs[module]) == ["pollset"]
    assert output(install + imports + programs[module]) == ["pollset"]


# python -m pollset


@pytest.fixture
def program(tmp_path):
    """A script that prints its environment."""
    path = tmp_path / "program.py"
    path.write_text(
        textwrap.dedent("""
            "Its documentation."
            import os, select, sys
            import neighbour
            facts = {
                "poll": type(select.poll()).__module__,
                "argv": sys.argv[1:],
                "argv[0]": os.path.basename(sys.argv[0]),
                "name": __name__,
                "file": os.path.basename(__file__),
                "doc": __doc__,
                "main": sys.modules["__main__"].__dict__ is globals(),
                "path[0]": sys.path[0],
                "package": __package__,
                "spec": getattr(__spec__, "name", None),
                "builtins": type(__builtins__),
                "names": sorted(set(globals()) - {"facts", "__annotations__"}),
            }
            for name, value in facts.items():
                print(name, "=", repr(value))
        """),
        encoding="utf-8",
    )
    (tmp_path / "neighbour.py").write_text("", encoding="utf-8")
    return path


def differences(plain, with_pollset):
    """The lines that differ between the two runs."""
    pairs = zip(plain.stdout.splitlines(), with_pollset.stdout.splitlines())
    assert len(plain.stdout.splitlines()) == len(with_pollset.stdout.splitlines()) > 5
    return [line for plain_line, line in pairs if line != plain_line]


def test_a_script_sees_no_difference_except_poll(program):
    plain = run(program, "-v", "--version", "-m", "x y", "")
    with_pollset = run("-m", "pollset", program, "-v", "--version", "-m", "x y", "")
    assert differences(plain, with_pollset) == ["poll = 'pollset'"]


def test_a_script_of_the_current_directory(program):
    directory = program.parent
    plain = run(program.name, "a", cwd=directory)
    with_pollset = run("-m", "pollset", program.name, "a", cwd=directory)
    assert differences(plain, with_pollset) == ["poll = 'pollset'"]


def test_a_script_by_a_symbolic_link(program, tmp_path):
    link = tmp_path / "elsewhere" / "link.py"
    link.parent.mkdir()
    link.symlink_to(program)
    assert differences(run(link), run("-m", "pollset", link)) == ["poll = 'pollset'"]


def test_a_module_sees_no_difference_except_poll(program):
    directory = program.parent
    plain = run("-m", "program", "-m", "a", cwd=directory)
    with_pollset = run("-m", "pollset", "-m", "program", "-m", "a", cwd=directory)
    assert differences(plain, with_pollset) == ["poll = 'pollset'"]


def test_a_package(program):
    package = program.parent / "package"
    package.mkdir()
    (package / "__init__.py").write_text("", encoding="utf-8")
    program.rename(package / "__main__.py")
    plain = run("-m", "package", "a", cwd=package.parent)
    with_pollset = run("-m", "pollset", "-m", "package", "a", cwd=package.parent)
    assert differences(plain, with_pollset) == ["poll = 'pollset'"]


def test_a_directory(program):
    program.rename(program.parent / "__main__.py")
    plain = run(program.parent, "a")
    with_pollset = run("-m", "pollset", program.parent, "a")
    assert differences(plain, with_pollset) == ["poll = 'pollset'"]


def script(tmp_path, code):
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(code), encoding="utf-8")
    return path


@pytest.mark.parametrize("status", ["0", "3", "None", "'it failed'"])
def test_the_exit_status(tmp_path, status):
    path = script(tmp_path, f"import sys; sys.exit({status})")
    plain, with_pollset = run(path, check=False), run("-m", "pollset", path, check=False)
    assert with_pollset.returncode == plain.returncode
    assert with_pollset.stderr == plain.stderr


def test_an_exception(tmp_path):
    path = script(tmp_path, "def fails():\n    1 / 0\n\nfails()\n")
    with_pollset = run("-m", "pollset", path, check=False)
    assert with_pollset.returncode == 1
    assert with_pollset.stderr.rstrip().endswith("ZeroDivisionError: division by zero")
    assert f'File "{path}", line 4, in <module>' in with_pollset.stderr


def test_a_syntax_error(tmp_path):
    with_pollset = run("-m", "pollset", script(tmp_path, "a b c"), check=False)
    assert with_pollset.returncode == 1
    assert "SyntaxError" in with_pollset.stderr


def test_a_source_encoding(tmp_path):
    path = tmp_path / "script.py"
    path.write_bytes("# coding: latin-1\nprint(ascii('é'))".encode("latin-1"))
    assert run("-m", "pollset", path).stdout == run(path).stdout == "'\\xe9'\n"


def test_keyboard_interrupt(tmp_path):
    path = script(tmp_path, "import signal; signal.raise_signal(signal.SIGINT)")
    assert run("-m", "pollset", path, check=False).returncode == -signal.SIGINT


def test_classes_of_the_script_can_be_pickled(tmp_path):
    path = script(
        tmp_path,
        """
        import pickle
        class Pickled: pass
        print(type(pickle.loads(pickle.dumps(Pickled()))) is Pickled)
        """,
    )
    assert run("-m", "pollset", path).stdout == "True\n"


def test_multiprocessing_finds_the_script_again(tmp_path):
    path = script(
        tmp_path,
        """
        import multiprocessing

        def double(number):
            return 2 * number

        if __name__ == "__main__":
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                print(pool.map(double, [1, 2]))
        """,
    )
    assert run("-m", "pollset", path).stdout == "[2, 4]\n"


def test_the_program_reads_standard_input(tmp_path):
    path = script(tmp_path, "print(input())")
    assert run("-m", "pollset", path, input="hello\n").stdout == "hello\n"


@pytest.mark.parametrize("arguments", [(), ("-m",), ("--unknown",)])
def test_a_wrong_command_line_shows_the_usage(arguments):
    with_pollset = run("-m", "pollset", *arguments, check=False)
    assert with_pollset.returncode == 2
    assert "usage: python -m pollset" in with_pollset.stderr
    assert "Traceback" not in with_pollset.stderr


def test_help_and_version():
    assert "usage: python -m pollset" in run("-m", "pollset", "--help").stdout
    assert run("-m", "pollset", "--version").stdout.startswith("pollset ")


def test_a_missing_script(tmp_path):
    missing = tmp_path / "missing.py"
    plain, with_pollset = run(missing, check=False), run("-m", "pollset", missing, check=False)
    assert with_pollset.returncode == plain.returncode == 2
    assert with_pollset.stderr == plain.stderr


def test_a_missing_module():
    with_pollset = run("-m", "pollset", "-m", "no_such_module", check=False)
    assert with_pollset.returncode == 1
    assert "No module named no_such_module" in with_pollset.stderr


@pytest.mark.parametrize("arguments", [["--", "-weird"], ["-h"], ["--version"], ["-m", "x"]])
def test_arguments_are_passed_to_the_program(tmp_path, arguments):
    path = script(tmp_path, "import sys; print(sys.argv[1:])")
    assert run("-m", "pollset", path, *arguments).stdout == f"{arguments}\n"


def test_a_script_by_a_path_with_dots_behind_a_symbolic_link(tmp_path):
    (tmp_path / "real" / "below").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "link").symlink_to(tmp_path / "real" / "below")
    script(tmp_path / "real", "print('real')")
    name = script(tmp_path / "other", "print('other')").name
    path = tmp_path / "other" / "link" / ".." / name
    assert run("-m", "pollset", path).stdout == "real\n"


@pytest.mark.parametrize("removal", ["select.poll", "selectors.PollSelector"])
def test_install_ignores_removed_attributes(removal):
    code = f"import select, selectors, pollset; del {removal}; pollset.install()"
    assert output(code + "; pollset.uninstall(); print('done')") == ["done"]
