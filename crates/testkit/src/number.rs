//! Descriptor numbers that belong to one test.
//!
//! The kernel allocates the lowest free number. These numbers are high, and each has one owner at
//! a time, so no other code opens a file on them by chance. A test can close and reuse its own while other
//! tests open and close files.

use std::os::fd::RawFd;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use crate::limit::raise_fd_limit;
use crate::skip;

pub(crate) struct Number(RawFd);

impl Number {
    pub fn take() -> Self {
        let mut pool = pool();
        let recycled = pool.free.pop();
        Self(recycled.unwrap_or_else(|| pool.next_unused().expect("descriptors are left")))
    }

    pub fn get(&self) -> RawFd {
        self.0
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        pool().free.push(self.0);
    }
}

/// The first of these numbers. The kernel allocates lower ones.
pub fn first() -> RawFd {
    pool().first
}

/// Whether `count` descriptors are available for a test. If not, prints that the test is skipped.
pub fn enough_fds_for(count: usize) -> bool {
    let pool = pool();
    let left = (pool.limit - pool.next).max(0) as usize + pool.free.len();
    drop(pool);
    let is_enough = left >= count;
    if !is_enough {
        skip(&format!("needs {count} descriptors, and only {left} are left"));
    }
    is_enough
}

struct Pool {
    free: Vec<RawFd>,
    first: RawFd,
    next: RawFd,
    limit: RawFd,
}

impl Pool {
    fn next_unused(&mut self) -> Option<RawFd> {
        let number = self.next;
        self.next += 1;
        (number < self.limit).then_some(number)
    }
}

fn pool() -> MutexGuard<'static, Pool> {
    static POOL: LazyLock<Mutex<Pool>> = LazyLock::new(|| {
        let limit = raise_fd_limit().min(1 << 20) as RawFd;
        let first = (limit / 4).min(3000);
        Mutex::new(Pool { free: Vec::new(), first, next: first, limit })
    });
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}
