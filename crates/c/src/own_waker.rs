//! The waker of an object: each process has one of its own.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;

use pollset::{Waker, process_generation};

/// A forked child inherits the file of the waker, and with it the wakes of its parent. It replaces the file
/// before it uses it.
///
/// Threads and signal handlers may wake at the same time: one of them replaces the file, and no handler waits
/// for the thread that it has interrupted. The process is its generation here; 0 is none.
pub struct OwnWaker {
    waker: Waker,
    /// The process that has made the file.
    owner: AtomicU32,
    /// The process in which a thread replaces the file, or has replaced it.
    renewer: AtomicU32,
    /// The process in which a wake came while the file was replaced.
    woken: AtomicU32,
}

impl OwnWaker {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            waker: Waker::new()?,
            owner: AtomicU32::new(process_generation()),
            renewer: AtomicU32::new(0),
            woken: AtomicU32::new(0),
        })
    }

    /// Before a wait, in the thread that waits: no other thread replaces the file any more.
    #[inline]
    pub fn prepare(&self) -> io::Result<()> {
        let process = process_generation();
        while self.owner.load(SeqCst) != process {
            if !self.renew(process)? {
                thread::yield_now();
            }
        }
        Ok(())
    }

    pub fn wake(&self) -> io::Result<()> {
        let process = process_generation();
        if self.owner.load(SeqCst) != process && !self.renew(process)? {
            // The thread that replaces the file looks at one of these after it has stored the other.
            self.woken.store(process, SeqCst);
            if self.owner.load(SeqCst) != process {
                return Ok(());
            }
        }
        self.waker.wake()
    }

    /// Returns false if another thread, or this one below a signal handler, is about to do it.
    #[cold]
    fn renew(&self, process: u32) -> io::Result<bool> {
        let before = self.renewer.load(SeqCst);
        if before == process
            || self.renewer.compare_exchange(before, process, SeqCst, SeqCst).is_err()
        {
            return Ok(false);
        }
        if let Err(error) = self.waker.renew() {
            self.renewer.store(0, SeqCst);
            return Err(error);
        }
        self.owner.store(process, SeqCst);
        if self.woken.load(SeqCst) == process {
            self.waker.wake()?;
        }
        Ok(true)
    }

    pub fn clear(&self) -> io::Result<()> {
        self.waker.clear()
    }
}

/// The number is the same in each process.
impl AsRawFd for OwnWaker {
    fn as_raw_fd(&self) -> RawFd {
        self.waker.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pollset::{PollFlags, PollSet};

    use super::*;

    /// A waker in the state that a forked child inherits.
    fn inherited() -> OwnWaker {
        let waker = OwnWaker::new().unwrap();
        waker.owner.store(u32::MAX, SeqCst);
        waker
    }

    fn is_ready(waker: &OwnWaker) -> bool {
        let set = PollSet::from_iter([(waker, PollFlags::IN)]);
        !set.poll(Duration::ZERO).unwrap().is_empty()
    }

    #[test]
    fn a_wake_while_the_file_is_replaced_is_made_by_the_thread_that_replaces_it() {
        let waker = inherited();
        waker.renewer.store(process_generation(), SeqCst); // the other thread has begun
        waker.wake().unwrap();
        assert!(!is_ready(&waker));
        assert_eq!(waker.owner.load(SeqCst), u32::MAX);
        waker.renewer.store(0, SeqCst);
        waker.prepare().unwrap();
        assert!(is_ready(&waker));
    }

    #[test]
    fn a_wake_of_an_ancestor_is_not_made() {
        let waker = inherited();
        waker.woken.store(u32::MAX, SeqCst);
        waker.waker.wake().unwrap();
        waker.prepare().unwrap();
        assert!(!is_ready(&waker));
        waker.wake().unwrap();
        assert!(is_ready(&waker));
        waker.clear().unwrap();
        assert!(!is_ready(&waker));
    }
}
