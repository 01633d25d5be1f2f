//! Waits, and their comparison with the kernel.

use std::io;
use std::panic::resume_unwind;
use std::thread;
use std::time::{Duration, Instant};

use pollset::{Builder, Engine, Event, PollFlags, Step, Timeout};
use pollset_testkit::{LONG, NOW};

use super::World;
use crate::WaitCall;
use crate::model::Model;

/// More than enough for all data in transit through the kernel to arrive.
const MAX_ATTEMPTS: usize = 10_000;

impl World {
    /// Compares the set with poll(2): without blocking, and in a wait if an event is ready.
    pub(super) fn assert_matches_kernel(&self) {
        self.assert_model_matches_kernel(&self.model());
    }

    pub(super) fn assert_model_matches_kernel(&self, model: &Model) {
        for _ in 0..MAX_ATTEMPTS {
            let before = model.kernel_events();
            let outcome = self.wait(model, WaitCall::Poll, NOW);
            if !is_unchanged(model, &before) {
                continue; // data was in transit through the kernel
            }
            outcome.assert_matches(model, &before, "without blocking");
            // Otherwise the only events may be those of stale entries, which could block the wait.
            if model.can_end_wait(&before) {
                let outcome = self.wait(model, WaitCall::Poll, None);
                if !is_unchanged(model, &before) {
                    continue;
                }
                outcome.assert_matches(model, &before, "without a timeout");
            }
            self.counts.count_comparison();
            return;
        }
        panic!("the kernel's events keep changing");
    }

    fn wait(&self, model: &Model, call: WaitCall, timeout: impl Into<Timeout>) -> Outcome {
        let refused = self.set.stats().refused;
        let result = self.call(model, call, timeout.into());
        let engine = self.set.stats().last_engine;
        match result {
            Ok(events) => {
                self.counts.count_wait(engine);
                // Events found before the instance was lost are not polled again.
                let fell_back = self.set.stats().refused > refused;
                let is_expected =
                    !model.is_over_limit() || engine == Some(Engine::Epoll) || fell_back;
                assert!(
                    is_expected,
                    "a wait on poll(2) succeeded with more entries than its limit"
                );
                Outcome { events: Some(events), engine }
            }
            Err(error) => {
                let is_expected =
                    model.is_over_limit() && error.raw_os_error() == Some(libc::EINVAL);
                assert!(is_expected, "a wait failed: {error}");
                Outcome { events: None, engine }
            }
        }
    }

    fn call(&self, model: &Model, call: WaitCall, timeout: Timeout) -> io::Result<Vec<Event>> {
        let no_event = Event { fd: -1, revents: PollFlags::empty() };
        let batch = match call {
            WaitCall::Poll => return self.set.poll(timeout),
            WaitCall::PollInto => {
                let mut events = vec![no_event; 3];
                let count = self.set.poll_into(&mut events, timeout)?;
                assert_eq!(count, events.len());
                return Ok(events);
            }
            WaitCall::TakeEach => 0,
            WaitCall::TakeBatch(batch) => batch.into(),
            WaitCall::InTurn(room) => {
                let events = self.set.wait_in_turn(usize::from(room).max(1), timeout)?;
                return Ok(in_order_of_registration(model, events));
            }
        };
        let mut waiting = self.set.start(timeout)?;
        let ready = loop {
            if let Step::Ready(ready) = waiting.step()? {
                break ready;
            }
        };
        let mut events = Vec::new();
        if batch == 0 {
            events.extend(std::iter::from_fn(|| waiting.take_event()));
        } else {
            let slots = waiting.slots();
            let mut taken = vec![(0, no_event); batch];
            let mut last = None;
            loop {
                let count = waiting.take_events(&mut taken);
                for &(slot, event) in &taken[..count] {
                    assert!(slot < slots && last < Some(slot), "slot {slot} of {slots}");
                    last = Some(slot);
                    events.push(event);
                }
                if count < batch {
                    break;
                }
            }
        }
        assert_eq!(events.len(), ready, "events taken, and events announced");
        Ok(events)
    }

    pub(super) fn poll(&self, call: WaitCall, timeout: Duration) {
        let model = self.model();
        let before = model.kernel_events();
        let start = Instant::now();
        let outcome = self.wait(&model, call, timeout);
        outcome.assert_not_early(start, timeout);
        if is_unchanged(&model, &before) {
            outcome.assert_matches(&model, &before, "with a timeout");
        }
    }

    /// The readiness of some files, such as a signalfd, depends on the calling thread.
    pub(super) fn poll_in_thread(&self) {
        thread::scope(|scope| {
            let thread = scope.spawn(|| self.poll(WaitCall::Poll, NOW));
            thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        });
    }

    pub(super) fn poll_repeatedly(&self, count: u16) {
        let model = self.model();
        let before = model.kernel_events();
        for _ in 0..count {
            let outcome = self.wait(&model, WaitCall::PollInto, NOW);
            if !outcome.matches(&model, &before) {
                if is_unchanged(&model, &before) {
                    outcome.assert_matches(&model, &before, "polled repeatedly");
                }
                break;
            }
        }
        is_unchanged(&model, &before);
    }

    /// How many entries both checks of the audit have covered.
    fn audit_checks(&self) -> u64 {
        let stats = self.set.stats();
        stats.audited.min(stats.compared)
    }

    /// Polls until both checks of the audit have covered every entry, and so must have found all
    /// files that were closed, replaced, or became ready without a wake-up. A set on poll(2) has no
    /// stale entries.
    pub(super) fn await_audit(&self) {
        let mut model = self.model();
        if !model.may_be_stale() || model.registrations().is_empty() {
            return;
        }
        let start = Instant::now();
        let checks_before = self.audit_checks();
        let mut detected_after = Duration::ZERO;
        loop {
            let before = model.kernel_events();
            let outcome = self.wait(&model, WaitCall::Poll, NOW);
            if !is_unchanged(&model, &before) && start.elapsed() < LONG {
                continue;
            }
            outcome.assert_matches(&model, &before, "during the audit");
            let (Some(Engine::Epoll), Some(events)) = (outcome.engine, outcome.events) else {
                return;
            };
            let checks = self.audit_checks() - checks_before;
            if events != before {
                detected_after = start.elapsed();
                let is_late = checks > 2 * model.checks_per_pass() || detected_after > LONG;
                assert!(!is_late, "{events:?} instead of {before:?}, after {checks} checks");
            } else if checks > model.checks_per_pass() {
                self.counts.count_audit(detected_after);
                model.clear_stale();
                return;
            }
        }
    }

    pub(super) fn poll_new_set(&self) {
        let model = self.model();
        let before = model.kernel_events();
        let mut set = Builder::new().engine(self.engine).build();
        set.extend(model.registrations());
        let result = set.poll(NOW);
        if model.kernel_events() == before && !model.is_over_limit() {
            assert_eq!(result.expect("the wait succeeds"), before, "a new set");
        }
    }
}

/// The outcome of a wait. No events: it has failed, with more entries than poll(2) takes.
pub(super) struct Outcome {
    pub events: Option<Vec<Event>>,
    pub engine: Option<Engine>,
}

impl Outcome {
    fn assert_matches(&self, model: &Model, kernel: &[Event], how: &str) {
        let Some(events) = &self.events else { return };
        model.assert_well_formed(events);
        let (ours, kernels) =
            (model.certain(events, self.engine), model.certain(kernel, self.engine));
        assert_eq!(ours, kernels, "{how}, on {:?}", self.engine);
    }

    fn matches(&self, model: &Model, kernel: &[Event]) -> bool {
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

/// Events that were taken in turn begin anywhere.
fn in_order_of_registration(model: &Model, mut events: Vec<Event>) -> Vec<Event> {
    let registrations = model.registrations();
    events.sort_by_key(|event| registrations.iter().position(|&(fd, _)| fd == event.fd));
    events
}

/// Whether poll(2) reports the same events as before a wait. Only the set can have opened a
/// descriptor in between, and it must not open one that is registered.
fn is_unchanged(model: &Model, before: &[Event]) -> bool {
    let now = model.kernel_events();
    for event in before.iter().filter(|event| event.revents == PollFlags::NVAL) {
        assert!(now.contains(event), "the set has opened {}, which is registered", event.fd);
    }
    now == before
}
