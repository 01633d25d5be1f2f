"""Runs in the process of each of CPython's test files, before it. Checks that pollset is in use."""

import select
import selectors
import subprocess
import sys
import unittest

import pollset


class InstallationTest(unittest.TestCase):
    def test_in_this_process(self):
        self.assertIs(select.poll, pollset.poll)
        self.assertEqual(type(select.poll()).__module__, "pollset")

    def test_in_selectors(self):
        self.assertIs(type(selectors.PollSelector()._selector), type(pollset.poll()))
        if not hasattr(select, "epoll"):
            self.assertIs(selectors.DefaultSelector, selectors.PollSelector)

    def test_in_child_interpreters(self):
        code = "import select, pollset; print(select.poll is pollset.poll)"
        for options in ([], ["-I"], ["-E"], ["-s"], ["-Werror"]):
            with self.subTest(options=options):
                command = [sys.executable, *options, "-c", code]
                self.assertEqual(subprocess.check_output(command), b"True\n")
