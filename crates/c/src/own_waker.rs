#![allow(unsafe_code)]

//! The waker of an object: each process has one of its own.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use pollset::{Waker, process_generation};

/// A forked child inherits the file of the waker, and with it the wakes of its parent. So it replaces the file
/// before it uses it.
pub struct OwnWaker {
    waker: Waker,
    /// The process that has made the file: its generation.
    owner: AtomicU32,
    /// The process in which a thread is replacing the file; 0: none. A child may inherit that of its parent.
    renewer: AtomicU32,
}

impl OwnWaker {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            waker: Waker::new()?,
            owner: AtomicU32::new(process_generation()),
            renewer: AtomicU32::new(0),
        })
    }

    pub fn wake(&self) -> io::Result<()> {
        self.prepare()?;
        self.waker.wake()
    }

    pub fn clear(&self) -> io::Result<()> {
        self.waker.clear()
    }

    /// Whether the file is of this process.
    #[inline]
    pub fn is_own(&self) -> bool {
        self.owner.load(Acquire) == process_generation()
    }

    /// Before a wait. No thread replaces the file during the wait.
    #[inline]
    pub fn prepare(&self) -> io::Result<()> {
        if self.is_own() { Ok(()) } else { self.renew() }
    }

    #[cold]
    fn renew(&self) -> io::Result<()> {
        // A signal handler in between would wait for the thread that it has interrupted; or it might fork.
        let _blocked = SignalsBlocked::new();
        let process = process_generation();
        while !self.is_own() {
            let renewer = self.renewer.load(Relaxed);
            if renewer != process
                && self.renewer.compare_exchange(renewer, process, AcqRel, Relaxed).is_ok()
            {
                let outcome = if self.is_own() { Ok(()) } else { self.waker.renew() };
                if outcome.is_ok() {
                    self.owner.store(process, Release);
                }
                self.renewer.store(0, Release);
                return outcome;
            }
            sleep_a_little();
        }
        Ok(())
    }
}

/// So that a thread with a lower priority runs. `thread::sleep` may panic.
fn sleep_a_little() {
    let time = libc::timespec { tv_sec: 0, tv_nsec: 50_000 };
    // SAFETY: the kernel reads the time.
    unsafe { libc::nanosleep(&time, ptr::null_mut()) };
}

/// The number is the same in each process.
impl AsRawFd for OwnWaker {
    fn as_raw_fd(&self) -> RawFd {
        self.waker.as_raw_fd()
    }
}

/// Blocks all signals in the thread.
struct SignalsBlocked {
    before: libc::sigset_t,
}

impl SignalsBlocked {
    fn new() -> Self {
        let mut all = MaybeUninit::<libc::sigset_t>::zeroed();
        let mut before = all;
        // SAFETY: the calls write the sets, of integers for which zero is valid. They can't fail.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
            Self { before: before.assume_init() }
        }
    }
}

impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        // SAFETY: the call reads the set. It can't fail.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.before, ptr::null_mut()) };
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use pollset::{PollFlags, PollSet};

    use super::*;

    /// A waker as a forked child inherits it.
    fn inherited() -> OwnWaker {
        let waker = OwnWaker::new().unwrap();
        waker.owner.store(u32::MAX, Relaxed);
        waker
    }

    fn is_ready(waker: &OwnWaker) -> bool {
        let set = PollSet::from_iter([(waker, PollFlags::IN)]);
        !set.poll(Duration::ZERO).unwrap().is_empty()
    }

    #[test]
    fn a_wake_of_an_ancestor_is_not_inherited() {
        let waker = inherited();
        waker.renewer.store(u32::MAX, Relaxed); // the ancestor was replacing the file
        waker.waker.wake().unwrap();
        waker.prepare().unwrap();
        assert!(!is_ready(&waker));
        waker.wake().unwrap();
        assert!(is_ready(&waker));
        waker.clear().unwrap();
        assert!(!is_ready(&waker));
    }

    #[test]
    fn a_wake_waits_for_the_thread_that_replaces_the_file() {
        let waker = inherited();
        waker.renewer.store(process_generation(), Relaxed);
        thread::scope(|scope| {
            let wake = scope.spawn(|| waker.wake());
            thread::sleep(Duration::from_millis(5));
            assert!(!wake.is_finished());
            waker.waker.renew().unwrap();
            waker.owner.store(process_generation(), Release);
            wake.join().unwrap().unwrap();
        });
        assert!(is_ready(&waker));
    }
}
