//! Waits, and what is compared with the kernel.

use std::panic::resume_unwind;
use std::thread;
use std::time::{Duration, Instant};

use pollset::{Builder, Engine, Event, PollFlags, Step as Stage, Timeout};
use pollset_testkit::{LONG, NOW};

use super::World;
use crate::How;
use crate::model::Model;

/// More than enough for everything that is on its way through the kernel to arrive.
const ATTEMPTS: usize = 10_000;

impl World {
    /// The set answers what the kernel answers, waiting or not.
    pub(super) fn agree(&self) {
        self.agree_on(&self.model());
    }

    pub(super) fn agree_on(&self, model: &Model) {
        for _ in 0..ATTEMPTS {
            let before = model.kernel();
            let asked = self.wait(model, How::Poll, NOW);
            if !is_unchanged(model, &before) {
                continue; // something was on its way through the kernel
            }
            asked.check(model, &before, "without waiting");
            // So that it doesn't wait for what the set may not know yet.
            if model.end_a_wait(&before) {
                let waited = self.wait(model, How::Poll, None);
                if !is_unchanged(model, &before) {
                    continue;
                }
                waited.check(model, &before, "waiting");
            }
            self.counts.count_comparison();
            return;
        }
        panic!("the kernel's answer changes all the time");
    }

    fn wait(&self, model: &Model, how: How, timeout: impl Into<Timeout>) -> Answer {
        let refused = self.set.stats().refused;
        let outcome = self.wait_as(how, timeout.into());
        let engine = self.set.stats().last_engine;
        match outcome {
            Ok(events) => {
                self.counts.count_wait(engine);
                // What has answered before the instance was lost isn't asked again.
                let has_moved = self.set.stats().refused > refused;
                let is_right = !model.is_over_limit() || engine == Some(Engine::Epoll) || has_moved;
                assert!(is_right, "poll(2) takes fewer entries than it has answered");
                Answer { events: Some(events), engine }
            }
            Err(error) => {
                let is_right = model.is_over_limit() && error.raw_os_error() == Some(libc::EINVAL);
                assert!(is_right, "a wait failed: {error}");
                Answer { events: None, engine }
            }
        }
    }

    fn wait_as(&self, how: How, timeout: Timeout) -> std::io::Result<Vec<Event>> {
        let nothing = Event { fd: -1, revents: PollFlags::empty() };
        let places = match how {
            How::Poll => return self.set.poll(timeout),
            How::Into => {
                let mut events = vec![nothing; 3];
                let count = self.set.poll_into(&mut events, timeout)?;
                assert_eq!(count, events.len());
                return Ok(events);
            }
            How::Steps => 0,
            How::Answers(places) => places.into(),
        };
        let mut waiting = self.set.start(timeout)?;
        let ready = loop {
            match waiting.step()? {
                Stage::Ready(ready) => break ready,
                Stage::Unfinished | Stage::Interrupted => {}
            }
        };
        let mut events = Vec::new();
        if places == 0 {
            events.extend(std::iter::from_fn(|| waiting.take_event()));
        } else {
            let slots = waiting.slots();
            let mut answers = vec![(0, nothing); places];
            let mut last = None;
            loop {
                let count = waiting.take_answers(&mut answers);
                for &(slot, event) in &answers[..count] {
                    assert!(slot < slots && last < Some(slot), "slot {slot} of {slots}");
                    last = Some(slot);
                    events.push(event);
                }
                if count < places {
                    break;
                }
            }
        }
        assert_eq!(events.len(), ready, "as many events as were announced");
        Ok(events)
    }

    pub(super) fn poll(&self, how: How, timeout: Duration) {
        let model = self.model();
        let before = model.kernel();
        let start = Instant::now();
        let answer = self.wait(&model, how, timeout);
        answer.assert_not_early(start, timeout);
        if is_unchanged(&model, &before) {
            answer.check(&model, &before, "for some time");
        }
    }

    /// Some files answer each thread otherwise.
    pub(super) fn ask_elsewhere(&self) {
        thread::scope(|scope| {
            let asks = scope.spawn(|| self.poll(How::Poll, NOW));
            asks.join().unwrap_or_else(|panic| resume_unwind(panic));
        });
    }

    pub(super) fn poll_often(&self, count: u16) {
        let model = self.model();
        let before = model.kernel();
        for _ in 0..count {
            let answer = self.wait(&model, How::Into, NOW);
            if !answer.agrees(&model, &before) {
                if is_unchanged(&model, &before) {
                    answer.check(&model, &before, "again and again");
                }
                break;
            }
        }
        is_unchanged(&model, &before);
    }

    /// How many entries the set has checked in both ways.
    fn looked_at(&self) -> u64 {
        let stats = self.set.stats();
        stats.audited.min(stats.compared)
    }

    /// What was closed behind the back of a set on epoll is found in a while, and so is what became
    /// ready without a sign. On poll(2) there is nothing to find.
    pub(super) fn settle(&self) {
        let mut model = self.model();
        if !model.has_doubts() || model.registered().is_empty() {
            return;
        }
        let start = Instant::now();
        let looked_at = self.looked_at();
        let mut found_after = Duration::ZERO;
        loop {
            let before = model.kernel();
            let answer = self.wait(&model, How::Poll, NOW);
            if !is_unchanged(&model, &before) && start.elapsed() < LONG {
                continue;
            }
            answer.check(&model, &before, "while it settles");
            let (Some(Engine::Epoll), Some(events)) = (answer.engine, answer.events) else {
                return;
            };
            let checks = self.looked_at() - looked_at;
            if events != before {
                found_after = start.elapsed();
                let is_late = checks > 2 * model.checks_of_all() || found_after > LONG;
                assert!(!is_late, "{events:?} instead of {before:?}, after {checks} checks");
            } else if checks > model.checks_of_all() {
                self.counts.count_settled(found_after);
                model.has_settled();
                return;
            }
        }
    }

    pub(super) fn new_set(&self) {
        let model = self.model();
        let before = model.kernel();
        let mut set = Builder::new().engine(self.engine).build();
        set.register_all(model.registered()).expect("none is negative");
        let answer = set.poll(NOW);
        if model.kernel() == before && !model.is_over_limit() {
            assert_eq!(answer.expect("it is asked"), before, "a new set");
        }
    }
}

/// What a wait has come to. No events: there are more registered than poll(2) takes.
pub(super) struct Answer {
    pub events: Option<Vec<Event>>,
    pub engine: Option<Engine>,
}

impl Answer {
    fn check(&self, model: &Model, kernel: &[Event], how: &str) {
        let Some(events) = &self.events else { return };
        model.assert_possible(events);
        let (ours, kernels) =
            (model.certain(events, self.engine), model.certain(kernel, self.engine));
        assert_eq!(ours, kernels, "{how}, on {:?}", self.engine);
    }

    fn agrees(&self, model: &Model, kernel: &[Event]) -> bool {
        self.events.as_ref().is_none_or(|events| {
            model.certain(events, self.engine) == model.certain(kernel, self.engine)
        })
    }

    pub fn assert_not_early(&self, start: Instant, timeout: Duration) {
        if self.events.as_ref().is_some_and(Vec::is_empty) {
            let took = start.elapsed();
            assert!(took >= timeout, "{took:?} instead of {timeout:?}");
        }
    }
}

/// Whether the kernel answers what it did before a wait. Nobody but the set can have opened
/// anything meanwhile, and it must not do that on a number that is registered.
fn is_unchanged(model: &Model, before: &[Event]) -> bool {
    let now = model.kernel();
    for event in before.iter().filter(|event| event.revents == PollFlags::NVAL) {
        assert!(now.contains(event), "the set has opened {}, which is registered", event.fd);
    }
    now == before
}
