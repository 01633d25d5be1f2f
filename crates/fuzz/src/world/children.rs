//! Forked children that continue the program.

use std::thread;

use pollset_testkit::LONG;
use pollset_testkit::kinds::Kind;
use pollset_testkit::process::wait_for_exit;
use rustix::process::{Pid, Signal, kill_process};

use super::World;
use crate::child::run_and_exit;
use crate::{Op, raw};

impl World {
    /// Runs `body` in a child, which has a set of its own, and waits for the child.
    pub(super) fn fork(&mut self, body: impl FnOnce(&mut Self)) {
        match raw::fork() {
            None => run_and_exit(self.counts, || {
                self.holders.clear();
                self.model().clear_stale();
                body(self);
                self.finish();
            }),
            Some(child) => join(child),
        }
    }

    pub(super) fn run_as_daemon(&mut self, kind: Kind, count: u8, ops: &[Op]) {
        raw::close_all();
        self.model().forget_files();
        self.inherited.clear();
        let file = self.make(kind).into_iter().flatten().next();
        if let Some(file) = file {
            for _ in 0..count {
                let dup = file.try_clone().expect("a descriptor is free");
                self.model().add_file(dup);
            }
            self.model().add_file(file);
        }
        // After a fork the set rebuilds its state, so it can't have stale entries.
        self.assert_matches_kernel();
        self.run_ops(ops);
    }

    pub(super) fn fork_holder(&mut self) {
        match raw::fork() {
            None => loop {
                thread::sleep(LONG);
            },
            Some(child) => self.holders.push(child),
        }
    }

    pub(super) fn kill_holders(&mut self) {
        for holder in self.holders.drain(..) {
            let _ = kill_process(holder, Signal::KILL);
            wait_for_exit(holder);
        }
    }
}

/// Waits for a child, which must succeed.
pub(super) fn join(child: Pid) {
    let status = wait_for_exit(child);
    assert_eq!(status.exit_status(), Some(0), "a forked child ended with {status:?}");
}
