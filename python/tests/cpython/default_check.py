"""Runs in the process of each of CPython's test files, before it: the swap has really happened."""

import selectors
import unittest

import pollset


class Swap(unittest.TestCase):
    def test_in_this_process(self):
        self.assertIs(selectors.DefaultSelector, pollset.PollSelector)
        self.assertIs(selectors.PollSelector, pollset.PollSelector.__base__)
