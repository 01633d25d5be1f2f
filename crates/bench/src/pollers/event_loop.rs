use std::os::fd::RawFd;
use std::time::Duration;

use anyhow::Result;

use super::poller::{Interest, Poller};
use super::subject::{Subject, Trigger};

/// A poller and the list of ready descriptors that its waits fill.
pub struct EventLoop {
    pub poller: Box<dyn Poller>,
    pub trigger: Trigger,
    ready: Vec<RawFd>,
}

impl EventLoop {
    /// Without registrations. `capacity` is the number of events per wait.
    pub fn with_capacity(subject: Subject, capacity: usize) -> Result<Self> {
        let poller = subject.poller(capacity)?;
        let ready = Vec::with_capacity(capacity);
        Ok(Self { poller, trigger: subject.trigger(), ready })
    }

    /// Watches these descriptors for reading, with room for one more.
    pub fn watching(subject: Subject, fds: &[RawFd]) -> Result<Self> {
        let mut event_loop = Self::with_capacity(subject, fds.len() + 1)?;
        fds.iter().try_for_each(|&fd| event_loop.poller.add(fd))?;
        Ok(event_loop)
    }

    /// Waits, and returns the number of ready descriptors. Nothing is read: a poller that is not
    /// level-triggered modifies each registration, so that the next wait reports it again.
    pub fn wait_and_rearm(&mut self, timeout: Option<Duration>) -> usize {
        self.wait(timeout);
        if self.trigger != Trigger::Level {
            for &fd in &self.ready {
                self.poller.modify(fd, Interest::Read).expect("the descriptor is registered");
            }
        }
        self.ready.len()
    }

    /// Waits, and calls the handler for each ready descriptor. The handler reads until nothing is
    /// left, and returns whether to go on watching the descriptor.
    pub fn dispatch(
        &mut self,
        timeout: Option<Duration>,
        mut handler: impl FnMut(&mut dyn Poller, RawFd) -> Result<bool>,
    ) -> Result<()> {
        self.wait(timeout);
        for &fd in &self.ready {
            if handler(&mut *self.poller, fd)? && self.trigger == Trigger::Oneshot {
                self.poller.modify(fd, Interest::Read)?;
            }
        }
        Ok(())
    }

    fn wait(&mut self, timeout: Option<Duration>) {
        self.ready.clear();
        self.poller.wait(timeout, &mut self.ready).expect("the wait succeeds");
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use clap::ValueEnum;

    use super::*;

    const ZERO: Option<Duration> = Some(Duration::ZERO);

    fn subjects() -> impl Iterator<Item = Subject> {
        Subject::value_variants().iter().copied()
    }

    #[test]
    fn each_subject_reports_a_ready_descriptor_in_each_wait() -> Result<()> {
        for subject in subjects() {
            let pairs = [UnixStream::pair()?, UnixStream::pair()?, UnixStream::pair()?];
            let fds = pairs.each_ref().map(|(near, _)| near.as_raw_fd());
            let mut event_loop = EventLoop::watching(subject, &fds)?;
            assert_eq!(event_loop.wait_and_rearm(ZERO), 0, "{}", subject.name());

            (&pairs[1].1).write_all(b"!")?;
            for timeout in [None, ZERO, None] {
                assert_eq!(event_loop.wait_and_rearm(timeout), 1, "{}", subject.name());
                assert_eq!(event_loop.ready, fds[1..2], "{}", subject.name());
            }
        }
        Ok(())
    }

    #[test]
    fn each_subject_reports_new_data_after_all_was_read() -> Result<()> {
        for subject in subjects() {
            let (near, mut far) = UnixStream::pair()?;
            let mut event_loop = EventLoop::watching(subject, &[near.as_raw_fd()])?;
            for _ in 0..3 {
                far.write_all(b"!")?;
                let mut calls = 0;
                event_loop.dispatch(None, |_, _| {
                    calls += 1;
                    (&near).read_exact(&mut [0])?;
                    Ok(true)
                })?;
                assert_eq!(calls, 1, "{}", subject.name());
                assert_eq!(event_loop.wait_and_rearm(ZERO), 0, "{}", subject.name());
            }
        }
        Ok(())
    }

    #[test]
    fn each_subject_can_modify_and_remove() -> Result<()> {
        for subject in subjects() {
            let pairs = [UnixStream::pair()?, UnixStream::pair()?];
            let fds = pairs.each_ref().map(|(near, _)| near.as_raw_fd());
            let mut event_loop = EventLoop::watching(subject, &fds)?;
            event_loop.poller.modify(fds[0], Interest::ReadAndWrite)?;
            assert_eq!(event_loop.wait_and_rearm(ZERO), 1, "{}", subject.name());
            event_loop.poller.modify(fds[0], Interest::Read)?;
            assert_eq!(event_loop.wait_and_rearm(ZERO), 0, "{}", subject.name());

            (&pairs[0].1).write_all(b"!")?;
            (&pairs[1].1).write_all(b"!")?;
            let [(removed, _), _] = pairs;
            event_loop.poller.remove(removed.as_raw_fd())?;
            drop(removed);
            assert_eq!(event_loop.wait_and_rearm(ZERO), 1, "{}", subject.name());
            assert_eq!(event_loop.ready, fds[1..], "{}", subject.name());
        }
        Ok(())
    }
}
