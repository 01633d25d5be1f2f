"""Runs in the process of each of CPython's test files, before it. Checks that pollset is in use."""

import asyncio
import selectors
import subprocess
import sys
import unittest

import pollset


class InstallationTest(unittest.TestCase):
    def test_in_this_process(self):
        self.assertIs(selectors.DefaultSelector, pollset.PollSelector)
        self.assertIs(selectors.PollSelector, pollset.PollSelector)

    def test_in_asyncio(self):
        loop = asyncio.new_event_loop()
        self.addCleanup(loop.close)
        self.assertIs(type(loop._selector), pollset.PollSelector)

    def test_in_child_interpreters(self):
        code = "import selectors, pollset; print(selectors.DefaultSelector is pollset.PollSelector)"
        for options in ([], ["-I"], ["-E"], ["-s"], ["-Werror"]):
            with self.subTest(options=options):
                command = [sys.executable, *options, "-c", code]
                self.assertEqual(subprocess.check_output(command), b"True\n")
