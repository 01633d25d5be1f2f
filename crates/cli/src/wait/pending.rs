//! The targets that are not open yet: a thread for each tries to open it until that works.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use pollset::Waker;

/// The pause between two attempts.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// The time that every first attempt gets, even if the deadline is earlier.
const FIRST_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);

/// The index of a target, and the result of an attempt to open it.
type Attempt = (usize, io::Result<OwnedFd>);

/// Targets are given by their index on the command line.
pub struct PendingTargets {
    /// The last error of each target; `None` until its first attempt has failed.
    last_errors: BTreeMap<usize, Option<io::Error>>,
    sender: Sender<Attempt>,
    receiver: Receiver<Attempt>,
    waker: Arc<Waker>,
    first_attempts_end: Instant,
}

impl PendingTargets {
    pub fn new() -> io::Result<Self> {
        let (sender, receiver) = channel();
        Ok(Self {
            last_errors: BTreeMap::new(),
            sender,
            receiver,
            waker: Arc::new(Waker::new()?),
            first_attempts_end: Instant::now() + FIRST_ATTEMPT_TIMEOUT,
        })
    }

    /// Starts a thread that calls `open` until it succeeds. `last_error` is the error of an attempt
    /// that the caller has made already.
    pub fn add(
        &mut self,
        index: usize,
        last_error: Option<io::Error>,
        open: impl Fn() -> io::Result<OwnedFd> + Send + 'static,
    ) -> io::Result<()> {
        self.last_errors.insert(index, last_error);
        let (sender, waker) = (self.sender.clone(), self.waker.clone());
        let retry = move || {
            loop {
                let result = open();
                let is_open = result.is_ok();
                if sender.send((index, result)).is_err() || waker.wake().is_err() || is_open {
                    return;
                }
                thread::sleep(RETRY_INTERVAL);
            }
        };
        thread::Builder::new().spawn(retry).map(drop)
    }

    /// Readable after each attempt, until [`take_opened`](Self::take_opened).
    pub fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Removes and returns the targets that have been opened.
    pub fn take_opened(&mut self) -> io::Result<Vec<(usize, OwnedFd)>> {
        self.waker.clear()?;
        let mut opened = Vec::new();
        while let Ok((index, result)) = self.receiver.try_recv() {
            match result {
                Ok(file) => {
                    self.last_errors.remove(&index);
                    opened.push((index, file));
                }
                Err(error) => {
                    self.last_errors.insert(index, Some(error));
                }
            }
        }
        Ok(opened)
    }

    pub fn is_empty(&self) -> bool {
        self.last_errors.is_empty()
    }

    /// The targets, with the last error of each, if an attempt has failed.
    pub fn iter(&self) -> impl Iterator<Item = (usize, Option<&io::Error>)> {
        self.last_errors.iter().map(|(&index, error)| (index, error.as_ref()))
    }

    /// The deadline, or while a first attempt is in progress, the end of its time if that is later.
    pub fn extend(&self, deadline: Instant) -> Instant {
        if self.last_errors.values().all(Option::is_some) {
            deadline
        } else {
            deadline.max(self.first_attempts_end)
        }
    }
}
