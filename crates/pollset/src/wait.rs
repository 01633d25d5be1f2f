use std::io;
use std::iter;
use std::time::Duration;

use crate::choice::Choice;
use crate::engine::{Answer, ArrayEngine, EpollEngine};
use crate::lock::Guard;
use crate::registrations::Registrations;
use crate::stats::Counters;
use crate::{Builder, Event};

/// What a wait works with. It belongs to one wait at a time and is kept between them.
///
/// The array is kept up to date always, the epoll engine once there is one, so that each wait can
/// use either.
pub struct Wait {
    array: ArrayEngine,
    epoll: Option<Box<EpollEngine>>,
    choice: Choice,
    audits_at_leisure: bool,
    probing: Probing,
    /// How many are registered, of the slots that the engines have.
    registered: usize,
    /// The wait in progress, or the last one, is on epoll.
    is_on_epoll: bool,
    /// The epoll instance reports what isn't registered, and is to be replaced.
    needs_replacement: bool,
}

impl Wait {
    pub const fn new(settings: Builder) -> Self {
        Self {
            array: ArrayEngine::new(),
            epoll: None,
            choice: Choice::new(settings.engine),
            audits_at_leisure: settings.audits_at_leisure,
            probing: Probing::new(),
            registered: 0,
            is_on_epoll: false,
            needs_replacement: false,
        }
    }

    /// In a forked child, leaves the parent's epoll instance alone.
    #[inline]
    pub fn leave_parents_epoll(&mut self, generation: u32) {
        if self.epoll.as_ref().is_some_and(|epoll| epoll.is_inherited(generation)) {
            self.epoll = None;
            self.is_on_epoll = false;
        }
    }

    pub fn apply_changes(&mut self, registrations: &mut Registrations) {
        let Self { array, epoll, .. } = self;
        if let Some(epoll) = epoll {
            registrations.take_departed(epoll.departed());
        }
        let kept = array.keep(registrations.seen(), registrations.slots());
        self.registered = registrations.len();
        registrations.take_changes(kept, |number, slot| {
            array.set(number, slot);
            if let Some(epoll) = epoll {
                epoll.set(number, slot);
            }
        });
    }

    /// Has the kernel forget what was unregistered. The lock is not held meanwhile.
    pub fn remove_departed(&mut self, mut registrations: Guard<'_, Registrations>) {
        match &mut self.epoll {
            Some(epoll) => {
                registrations.take_departed(epoll.departed());
                drop(registrations);
                // If it is lost, the next wait leaves it.
                let _ = epoll.remove_departed();
            }
            None => registrations.take_departed(&mut Vec::new()),
        }
    }

    /// Whether an epoll instance has become worth its price.
    #[inline]
    pub fn wants_epoll(&self) -> bool {
        self.epoll.is_none() && self.choice.buys(self.registered)
    }

    pub fn buy_epoll(&mut self, registrations: &mut Registrations, counters: &Counters) {
        let is_taken = |fd| registrations.interest(fd).is_some();
        match EpollEngine::new(is_taken, self.audits_at_leisure) {
            Ok(mut epoll) => {
                registrations.assign_keys(|number, slot| epoll.set(number, slot));
                self.epoll = Some(Box::new(epoll));
            }
            Err(_) => self.refuse_epoll(counters),
        }
    }

    #[inline]
    pub fn choose_engine(&mut self, counters: &Counters) {
        self.is_on_epoll = false;
        let Some(epoll) = &mut self.epoll else { return };
        if epoll.has_answers() {
            epoll.forget_answers();
        }
        // A number may have been unregistered and registered again: the old entry goes first.
        let is_there = epoll.remove_departed();
        if is_there && !self.choice.uses_epoll(self.registered, epoll.aside()) {
            return;
        }
        if is_there && epoll.apply(counters).is_ok() && epoll.audit(counters) {
            self.is_on_epoll = true;
        } else {
            self.refuse_epoll(counters);
        }
    }

    /// Goes on with the array. The instance, if there is one, is given back.
    #[cold]
    fn refuse_epoll(&mut self, counters: &Counters) {
        self.epoll = None;
        self.is_on_epoll = false;
        self.choice.refused();
        counters.refused.add(1);
    }

    /// How many descriptors are looked at to ask without waiting.
    pub fn asks_at_most(&self) -> usize {
        match &self.epoll {
            Some(_) if self.needs_replacement => self.registered,
            Some(epoll) if self.is_on_epoll => epoll.answers_at_once(),
            _ => self.array.len(),
        }
    }

    /// How many descriptors this wait asks about.
    pub fn registered(&self) -> usize {
        self.registered
    }

    pub fn slots(&self) -> usize {
        self.array.len()
    }

    /// Whether to ask with timeout 0 before waiting.
    pub fn is_probe_due(&mut self) -> bool {
        self.probing.is_due()
    }

    /// Takes note of what asking without waiting, before a wait, has found.
    pub fn has_probed(&mut self, ready: usize) {
        if ready == 0 {
            self.probing.came_up_empty();
        } else {
            self.probing.found_something();
        }
    }

    /// Asks the engine of this wait; returns how many descriptors are ready. `None`: it must be asked
    /// again, which may take longer, and some of the time has gone by.
    #[inline]
    pub fn ask(
        &mut self,
        timeout: Option<Duration>,
        counters: &Counters,
    ) -> io::Result<Option<usize>> {
        if self.needs_replacement {
            return self.replace_epoll(counters);
        }
        let Some(epoll) = self.epoll.as_mut().filter(|_| self.is_on_epoll) else {
            return self.array.ask(timeout).map(Some);
        };
        let slots = self.array.len();
        match epoll.ask(timeout, slots, self.array.answers())? {
            Answer::Ready(ready) => return Ok(Some(ready)),
            Answer::More => {}
            Answer::Phantom => self.needs_replacement = true,
            Answer::Lost => return self.give_up_epoll(counters),
        }
        Ok(None)
    }

    #[cold]
    fn replace_epoll(&mut self, counters: &Counters) -> io::Result<Option<usize>> {
        self.needs_replacement = false;
        if self.epoll.as_mut().is_some_and(|epoll| epoll.replace(counters).is_err()) {
            return self.give_up_epoll(counters);
        }
        Ok(None)
    }

    /// The wait goes on with the array. What poll(2) has answered in it is not asked again: it may have
    /// been told once.
    #[cold]
    fn give_up_epoll(&mut self, counters: &Counters) -> io::Result<Option<usize>> {
        let epoll = self.epoll.iter();
        let answers: Vec<_> = epoll.flat_map(|epoll| epoll.kept_answers()).collect();
        self.refuse_epoll(counters);
        if answers.is_empty() {
            return Ok(None);
        }
        self.array.ask_beside(answers).map(Some)
    }

    /// How long to wait without looking for closed numbers.
    pub fn until_audit(&mut self, left: Option<Duration>) -> Option<Duration> {
        match (self.epoll_in_use().and_then(|epoll| epoll.pause()), left) {
            (Some(pause), Some(left)) => Some(pause.min(left)),
            (pause, left) => pause.or(left),
        }
    }

    pub fn audit_blocked(&mut self, counters: &Counters) {
        if self.epoll_in_use().is_some_and(|epoll| !epoll.audit_blocked(counters)) {
            self.refuse_epoll(counters);
        }
    }

    /// Compares with poll(2) once more, in a wait whose time is up after it was blocked for as long as
    /// this. Whether there is an answer to give.
    pub fn compare_last(&mut self, blocked: Duration, counters: &Counters) -> bool {
        self.epoll_in_use().is_some_and(|epoll| epoll.compare_last(blocked, counters))
    }

    fn epoll_in_use(&mut self) -> Option<&mut EpollEngine> {
        self.epoll.as_deref_mut().filter(|_| self.is_on_epoll)
    }

    /// Takes note of how the wait went.
    #[inline]
    pub fn record(&mut self, ready: usize, has_blocked: bool, counters: &Counters) {
        counters.count_wait(self.is_on_epoll);
        if self.is_on_epoll {
            self.choice.served();
        }
        self.choice.record(self.registered, ready, has_blocked, self.epoll.is_none());
    }

    /// What was found, in registration order: the slot and the event. Each is given once. Returns
    /// how many, as many as there is room for.
    #[inline]
    pub fn take_answers(&mut self, answers: &mut [(usize, Event)]) -> usize {
        let Self { array, epoll, is_on_epoll, .. } = self;
        match epoll {
            Some(epoll) if *is_on_epoll => {
                fill(answers, || epoll.take_slot().map(|slot| (slot, array.event(slot))))
            }
            _ => fill(answers, || array.take_slot().map(|slot| (slot, array.event(slot)))),
        }
    }

    /// The events alone, all that were not taken.
    #[inline]
    pub fn move_events_to(&mut self, events: &mut Vec<Event>) {
        match &mut self.epoll {
            Some(epoll) if self.is_on_epoll => {
                let slots = epoll.take_slots().iter();
                events.extend(slots.map(|&slot| self.array.event(slot as usize)));
            }
            _ => self.array.move_events_to(events),
        }
    }
}

#[inline]
fn fill<T>(places: &mut [T], mut next: impl FnMut() -> Option<T>) -> usize {
    let mut filled = 0;
    for (place, value) in places.iter_mut().zip(iter::from_fn(&mut next)) {
        *place = value;
        filled += 1;
    }
    filled
}

/// Decides whether to ask with timeout 0 before waiting.
///
/// Asking without waiting costs poll(2) a quarter of what waiting costs, for which the kernel enters
/// each descriptor that it meets into a wait queue; and no clock is read. Each time that it finds
/// nothing doubles the number of waits that go without, up to 15 of 16, so a set that is mostly
/// idle pays next to nothing for it.
struct Probing {
    /// Waits still to go without.
    skip: u8,
    /// How many to skip after the next one that finds nothing.
    backoff: u8,
}

impl Probing {
    const MOST_SKIPPED: u8 = 15;

    const fn new() -> Self {
        Self { skip: 0, backoff: 0 }
    }

    fn is_due(&mut self) -> bool {
        let due = self.skip == 0;
        self.skip = self.skip.saturating_sub(1);
        due
    }

    fn came_up_empty(&mut self) {
        self.skip = self.backoff;
        self.backoff = (2 * self.backoff + 1).min(Self::MOST_SKIPPED);
    }

    fn found_something(&mut self) {
        self.backoff = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::Probing;

    /// Runs waits that find nothing; returns how many of them probed.
    fn idle_waits(probing: &mut Probing, waits: usize) -> usize {
        let probes = (0..waits).filter(|_| {
            let due = probing.is_due();
            if due {
                probing.came_up_empty();
            }
            due
        });
        probes.count()
    }

    #[test]
    fn a_new_set_probes() {
        assert!(Probing::new().is_due());
    }

    #[test]
    fn an_idle_set_probes_once_in_sixteen_waits() {
        let mut probing = Probing::new();
        idle_waits(&mut probing, 100);
        assert_eq!(idle_waits(&mut probing, 1600), 100);
    }

    #[test]
    fn each_that_finds_nothing_doubles_the_waits_without_one() {
        let mut probing = Probing::new();
        for skipped in [0, 0, 1, 3, 7, 15, 15] {
            for _ in 0..skipped {
                assert!(!probing.is_due());
            }
            assert!(probing.is_due());
            probing.came_up_empty();
        }
    }

    #[test]
    fn one_that_finds_something_brings_them_all_back() {
        let mut probing = Probing::new();
        idle_waits(&mut probing, 100);
        while !probing.is_due() {}
        probing.found_something();
        for _ in 0..100 {
            assert!(probing.is_due());
            probing.found_something();
        }
        probing.came_up_empty();
        assert!(probing.is_due(), "a single miss among hits");
    }

    #[test]
    fn a_single_miss_among_hits_costs_no_more_than_that_probe() {
        let mut probing = Probing::new();
        assert!(probing.is_due());
        probing.came_up_empty();
        assert!(probing.is_due());
    }
}
