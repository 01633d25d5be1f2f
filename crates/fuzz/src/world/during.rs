//! Waits during which threads do things.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::thread;
use std::time::{Duration, Instant};

use pollset::{ConcurrentPoll, Engine, Event, PollFlags, Waker};

use super::World;
use super::children::join;
use super::waits::Answer;
use crate::child::end_with;
use crate::model::{Model, assert_asked_for};
use crate::{Action, Until, Which, raw};

impl World {
    pub(super) fn during(&self, until: Until, threads: &[Vec<Action>]) {
        let waker = match until {
            Until::Woken if !self.is_starved => Waker::new().ok(),
            _ => None,
        };
        let timeout = match until {
            Until::Timeout(us) => Some(Duration::from_micros(us.into())),
            Until::Woken => waker.is_none().then_some(Duration::from_millis(1)),
        };
        let is_shared = threads.iter().flatten().any(|action| *action == Action::Poll);

        // Applying changes makes ours ready, or no longer; and others, what they watch does.
        let epolls = self.epolls();
        let mut model = self.model();
        if let Some(waker) = &waker {
            model.register(&self.set, waker.as_raw_fd(), PollFlags::IN);
            model.reserve(Some(waker.as_raw_fd()));
        }
        let registered = model.registered();
        let certain = |model: &Model| -> Vec<RawFd> {
            let numbers = registered.iter().map(|&(number, _)| number);
            numbers.filter(|number| model.is_certain(*number, Some(Engine::Epoll))).collect()
        };
        let certain_before = certain(&model);
        let before = model.kernel();
        let registers = |action: &&Action| matches!(action, Action::Register(..));
        let more = threads.iter().flatten().filter(registers).count();
        let may_be_over_limit = registered.len() + more > model.limit;
        model.forget_touched();
        drop(model);

        let start = Instant::now();
        let answer = thread::scope(|scope| {
            let threads: Vec<_> =
                threads.iter().map(|actions| scope.spawn(|| self.act_all(actions))).collect();
            let threads = match &waker {
                Some(waker) => vec![scope.spawn(move || {
                    threads.into_iter().for_each(|thread| drop(thread.join()));
                    waker.wake().expect("it is open");
                })],
                None => threads,
            };
            let answer = loop {
                match self.set.poll(timeout) {
                    Err(error) if is_shared && is_concurrent(&error) => thread::yield_now(),
                    outcome => break outcome,
                }
            };
            // A child that is forked while a thread ends can't start one.
            threads.into_iter().for_each(|thread| drop(thread.join()));
            answer
        });
        let engine = self.set.stats().last_engine;

        let mut model = self.model();
        model.count_touched();
        let events = match answer {
            Ok(events) => Some(events),
            Err(error) => {
                let is_right = may_be_over_limit && error.raw_os_error() == Some(libc::EINVAL);
                assert!(is_right, "a wait failed: {error}");
                None
            }
        };
        let answer = Answer { events, engine };
        if let Some(timeout) = timeout {
            answer.assert_not_early(start, timeout);
        } else {
            assert_ne!(answer.events.as_deref(), Some(&[][..]), "a wait without a timeout");
        }
        let after = model.kernel_about(&registered);
        let certain_after = certain(&model);
        if let Some(events) = &answer.events {
            self.counts.count_wait(engine);
            let mut last = None;
            for event in events {
                let place = registered.iter().position(|(number, _)| *number == event.fd);
                if model.was_touched(event.fd) {
                    continue;
                }
                let place = place.unwrap_or_else(|| panic!("{event:?} is not registered"));
                assert!(last < Some(place), "{event:?} comes too late in {events:?}");
                last = Some(place);
                assert_asked_for(*event, registered[place].1);
            }
            for &(number, _) in &registered {
                let of = |events: &[Event]| events.iter().copied().find(|event| event.fd == number);
                let is_certain = certain_before.contains(&number)
                    && certain_after.contains(&number)
                    && !model.was_touched(number)
                    && !epolls.contains(&number)
                    && !model.is_terminal(number);
                if is_certain && of(&before) == of(&after) {
                    assert_eq!(of(events), of(&before), "{number}, while others were changed");
                }
            }
        }
        if let Some(waker) = waker {
            model.reserve(None);
            model.unregister(&self.set, waker.as_raw_fd());
        }
    }

    fn act_all(&self, actions: &[Action]) {
        actions.iter().for_each(|action| self.act(action));
    }

    fn act(&self, action: &Action) {
        match *action {
            Action::Sleep(us) => thread::sleep(Duration::from_micros(us.into())),
            Action::Register(which, mask) => self.register(which, mask.0),
            Action::Modify(which, mask) => self.model().modify(&self.set, which, mask.0),
            Action::Unregister(which) => self.unregister(which),
            Action::Write(which) => self.write(which),
            Action::Close(which) => self.model().close(which),
            Action::Dup2(file, over) => self.model().dup2(file, over),
            Action::Poll => match self.set.poll(Duration::from_micros(50)) {
                Err(error) if is_concurrent(&error) => {}
                Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EINVAL), "{error}"),
                Ok(_) => {}
            },
            Action::Fork(which) => {
                let mut model = self.model();
                match raw::fork() {
                    None => end_with(self.counts, || self.act_in_child(&mut model, which)),
                    Some(child) => {
                        drop(model);
                        join(child);
                    }
                }
            }
        }
    }

    /// In a child that was forked during a wait.
    fn act_in_child(&self, model: &mut Model, which: Which) {
        model.has_settled();
        self.agree_on(model);
        if let Some(number) = model.which(which) {
            for mask in [PollFlags::empty(), PollFlags::DEFAULT] {
                model.unregister(&self.set, number);
                self.agree_on(model);
                model.register(&self.set, number, mask);
                self.agree_on(model);
            }
        }
    }
}

fn is_concurrent(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<ConcurrentPoll>())
}
