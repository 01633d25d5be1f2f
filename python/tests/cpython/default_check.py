"""Runs in the process of each of CPython's test files, before it. Checks that pollset is in use."""

import selectors
import unittest

import pollset


class InstallationTest(unittest.TestCase):
    def test_in_this_process(self):
        self.assertIs(selectors.DefaultSelector, pollset.PollSelector)
        self.assertIs(selectors.PollSelector, pollset.PollSelector.__base__)
