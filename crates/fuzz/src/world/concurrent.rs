//! Waits while other threads change the set and its files.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::thread;
use std::time::{Duration, Instant};

use pollset::{ConcurrentPoll, Engine, Event, PollFlags, Waker};
use pollset_testkit::open_fds::epoll_instances;

use super::World;
use super::children::join;
use super::waits::Outcome;
use crate::child::run_and_exit;
use crate::model::{Model, assert_within_mask};
use crate::{Action, FdIndex, Until, raw};

impl World {
    pub(super) fn poll_while(&self, until: Until, threads: &[Vec<Action>]) {
        let waker = match until {
            Until::Woken if !self.is_at_fd_limit => Waker::new().ok(),
            _ => None,
        };
        let timeout = match until {
            Until::Timeout(us) => Some(Duration::from_micros(us.into())),
            Until::Woken => waker.is_none().then_some(Duration::from_millis(1)),
        };
        let is_shared = threads.iter().flatten().any(|action| *action == Action::Poll);

        // The set's own instance changes its readiness when changes are applied; the readiness of
        // other instances depends on the files that they poll.
        let epolls = epoll_instances();
        let mut model = self.model();
        if let Some(waker) = &waker {
            model.register(&self.set, waker.as_raw_fd(), PollFlags::IN);
            model.reserve(Some(waker.as_raw_fd()));
        }
        let registrations = model.registrations();
        let certain = |model: &Model| -> Vec<RawFd> {
            let fds = registrations.iter().map(|&(fd, _)| fd);
            fds.filter(|fd| model.is_certain(*fd, Some(Engine::Epoll))).collect()
        };
        let certain_before = certain(&model);
        let before = model.kernel_events();
        let registers = |action: &&Action| matches!(action, Action::Register(..));
        let max_new = threads.iter().flatten().filter(registers).count();
        let may_be_over_limit = registrations.len() + max_new > model.poll_limit;
        model.clear_touched();
        drop(model);

        let start = Instant::now();
        let result = thread::scope(|scope| {
            let threads: Vec<_> =
                threads.iter().map(|actions| scope.spawn(|| self.run_actions(actions))).collect();
            let threads = match &waker {
                Some(waker) => vec![scope.spawn(move || {
                    threads.into_iter().for_each(|thread| drop(thread.join()));
                    waker.wake().expect("the waker is open");
                })],
                None => threads,
            };
            let result = loop {
                match self.set.poll(timeout) {
                    Err(error) if is_shared && is_concurrent(&error) => thread::yield_now(),
                    result => break result,
                }
            };
            // A child that is forked while a thread ends can't start one.
            threads.into_iter().for_each(|thread| drop(thread.join()));
            result
        });
        let engine = self.set.stats().last_engine;

        let mut model = self.model();
        model.count_touched();
        let events = match result {
            Ok(events) => Some(events),
            Err(error) => {
                let is_expected = may_be_over_limit && error.raw_os_error() == Some(libc::EINVAL);
                assert!(is_expected, "a wait failed: {error}");
                None
            }
        };
        let outcome = Outcome { events, engine };
        if let Some(timeout) = timeout {
            outcome.assert_not_early(start, timeout);
        } else {
            let events = outcome.events.as_deref();
            assert_ne!(events, Some(&[][..]), "events of a wait without a timeout");
        }
        let after = model.kernel_events_of(&registrations);
        let certain_after = certain(&model);
        if let Some(events) = &outcome.events {
            self.counts.count_wait(engine);
            let mut last = None;
            for event in events {
                let place = registrations.iter().position(|(fd, _)| *fd == event.fd);
                if model.was_touched(event.fd) {
                    continue;
                }
                let place = place.unwrap_or_else(|| panic!("{event:?} is not registered"));
                assert!(last < Some(place), "{event:?} is out of order in {events:?}");
                last = Some(place);
                assert_within_mask(*event, registrations[place].1);
            }
            for &(fd, _) in &registrations {
                let of = |events: &[Event]| events.iter().copied().find(|event| event.fd == fd);
                let is_certain = certain_before.contains(&fd)
                    && certain_after.contains(&fd)
                    && !model.was_touched(fd)
                    && !epolls.contains(&fd)
                    && !model.is_terminal(fd);
                if is_certain && of(&before) == of(&after) {
                    assert_eq!(of(events), of(&before), "{fd}, which no thread has changed");
                }
            }
        }
        if let Some(waker) = waker {
            model.reserve(None);
            model.unregister(&self.set, waker.as_raw_fd());
        }
    }

    fn run_actions(&self, actions: &[Action]) {
        actions.iter().for_each(|action| self.run_action(action));
    }

    fn run_action(&self, action: &Action) {
        match *action {
            Action::Sleep(us) => thread::sleep(Duration::from_micros(us.into())),
            Action::Register(index, mask) => self.register(index, mask.0),
            Action::Modify(index, mask) => self.model().modify(&self.set, index, mask.0),
            Action::Unregister(index) => self.unregister(index),
            Action::Write(index) => self.write(index),
            Action::Close(index) => self.model().close(index),
            Action::Dup2(file, over) => self.model().dup2(file, over),
            Action::Poll => match self.set.poll(Duration::from_micros(50)) {
                Err(error) if is_concurrent(&error) => {}
                Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EINVAL), "{error}"),
                Ok(_) => {}
            },
            Action::Fork(index) => {
                let mut model = self.model();
                match raw::fork() {
                    None => run_and_exit(self.counts, || self.use_in_child(&mut model, index)),
                    Some(child) => {
                        drop(model);
                        join(child);
                    }
                }
            }
        }
    }

    /// Uses the set in a child that was forked during a wait.
    fn use_in_child(&self, model: &mut Model, index: FdIndex) {
        model.clear_stale();
        self.assert_model_matches_kernel(model);
        if let Some(fd) = model.fd(index) {
            for mask in [PollFlags::empty(), PollFlags::IN | PollFlags::PRI | PollFlags::OUT] {
                model.unregister(&self.set, fd);
                self.assert_model_matches_kernel(model);
                model.register(&self.set, fd, mask);
                self.assert_model_matches_kernel(model);
            }
        }
    }
}

fn is_concurrent(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<ConcurrentPoll>())
}
