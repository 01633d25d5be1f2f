//! Forked children that go on with the program.

use std::thread;

use pollset_testkit::LONG;
use pollset_testkit::kinds::Kind;
use rustix::process::{Pid, Signal, kill_process};

use super::World;
use crate::child::{end_with, wait_for};
use crate::{Step, raw};

impl World {
    /// Goes on in a child, which has a set of its own.
    pub(super) fn fork(&mut self, body: impl FnOnce(&mut Self)) {
        match raw::fork() {
            None => end_with(self.counts, || {
                self.holders.clear();
                self.model().has_settled();
                body(self);
                self.finish();
            }),
            Some(child) => join(child),
        }
    }

    pub(super) fn daemon(&mut self, kind: Kind, count: u8, steps: &[Step]) {
        raw::close_all();
        self.model().forget_files();
        self.inherited.clear();
        let file = self.make(kind).into_iter().flatten().next();
        if let Some(file) = file {
            for _ in 0..count {
                let dup = file.try_clone().expect("there is room");
                self.model().opened(dup);
            }
            self.model().opened(file);
        }
        // It starts over: nothing of what was closed is known to it.
        self.agree();
        self.steps(steps);
    }

    pub(super) fn hold(&mut self) {
        match raw::fork() {
            None => loop {
                thread::sleep(LONG);
            },
            Some(child) => self.holders.push(child),
        }
    }

    pub(super) fn let_go(&mut self) {
        for holder in self.holders.drain(..) {
            let _ = kill_process(holder, Signal::KILL);
            wait_for(holder);
        }
    }
}

/// Waits for a child in which everything must have been right.
pub(super) fn join(child: Pid) {
    let status = wait_for(child);
    assert_eq!(status.exit_status(), Some(0), "a forked child ended with {status:?}");
}
