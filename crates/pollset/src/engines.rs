//! The engines of a set, and which of them serves a wait.

use std::io;
#[cfg(feature = "bindings")]
use std::iter;
use std::time::Duration;

use crate::engine::{EpollEngine, Failure, PollEngine, Polled};
use crate::policy::{Call, Policy, Wait};
use crate::probing::Probing;
use crate::registrations::Registrations;
use crate::settings::Settings;
use crate::stats::Counters;
use crate::sys::clock::{now, thread_time};
use crate::sys::epoll::Epoll;
use crate::sys::signals::SignalSet;
use crate::{Event, PollFlags};

/// One wait at a time uses it. It is kept between the waits.
///
/// The array of the poll(2) engine is always kept in step with the registrations, the epoll engine
/// from its creation on. So each wait can use either.
pub struct Engines {
    poll: PollEngine,
    epoll: Option<Box<EpollEngine>>,
    /// Whether the wait in progress, or the last one, is on epoll.
    is_on_epoll: bool,
    policy: Policy,
    probing: Probing,
    relaxed_audit: bool,
    /// The number of descriptors that the wait polls.
    registered: usize,
}

impl Engines {
    pub const fn new(settings: Settings) -> Self {
        Self {
            poll: PollEngine::new(),
            epoll: None,
            is_on_epoll: false,
            policy: Policy::new(settings.forced),
            probing: Probing::new(),
            relaxed_audit: settings.relaxed_audit,
            registered: 0,
        }
    }

    /// In a forked child, drops the parent's epoll instance without touching it.
    #[inline]
    pub fn discard_inherited_epoll(&mut self, generation: u32) {
        if self.epoll.as_ref().is_some_and(|epoll| epoll.is_inherited(generation)) {
            self.epoll = None;
            self.is_on_epoll = false;
            self.policy.forget_instance();
        }
    }

    /// Takes the changes of the registrations, and creates an epoll instance if that pays by now.
    pub fn take_changes(&mut self, registrations: &mut Registrations, counters: &Counters) {
        if self.epoll.is_some() {
            self.take_removals(registrations, counters);
        }
        let Self { poll, epoll, .. } = self;
        let kept = poll.keep(registrations.synced(), registrations.slots());
        self.registered = registrations.len();
        registrations.take_changes(kept, |number, slot| {
            poll.set(number, slot);
            if let Some(epoll) = epoll {
                epoll.set(number, slot);
            }
        });
        if self.should_create_epoll() {
            self.create_epoll(registrations, counters);
        }
    }

    fn take_removals(&mut self, registrations: &mut Registrations, counters: &Counters) {
        while registrations.has_undeleted() && registrations.delete_removed() {}
        match &mut self.epoll {
            Some(epoll) if registrations.has_epoll() => epoll.free_deleted(registrations),
            _ => self.fall_back(Failure::Lost, counters),
        }
    }

    /// Whether an epoll instance has become worth its price.
    #[inline]
    pub fn should_create_epoll(&self) -> bool {
        self.epoll.is_none() && self.policy.should_create(self.registered)
    }

    #[cold]
    fn create_epoll(&mut self, registrations: &mut Registrations, counters: &Counters) {
        let is_taken = |fd| registrations.interest(fd).is_some();
        match EpollEngine::new(is_taken, self.relaxed_audit) {
            Ok(mut epoll) => {
                epoll.take_all(registrations);
                self.epoll = Some(Box::new(epoll));
            }
            Err(_) => self.fall_back(Failure::Refused, counters),
        }
    }

    /// Chooses the engine of a wait. Returns whether it has entries to [`install`](Self::install).
    #[inline]
    pub fn choose(&mut self) -> bool {
        self.is_on_epoll = false;
        let Some(epoll) = &mut self.epoll else { return false };
        if epoll.has_results() {
            epoll.discard_results();
        }
        self.policy.begin();
        let has_pending = epoll.has_pending();
        let (fallbacks, pending) = (epoll.fallbacks(), epoll.pending());
        self.is_on_epoll = self.policy.should_use(self.registered, fallbacks, pending);
        self.is_on_epoll && has_pending
    }

    /// Chooses again after some entries were installed, on which the wait has `spent` nanoseconds.
    /// Returns whether to install more.
    #[cold]
    pub fn reconsider(&mut self, spent: u64) -> bool {
        let Some(epoll) = &mut self.epoll else { return false };
        let (fallbacks, pending) = (epoll.fallbacks(), epoll.pending());
        self.is_on_epoll = self.policy.should_still_use(self.registered, fallbacks, pending, spent);
        self.is_on_epoll
    }

    /// Ends a trial of the policy. Returns whether poll(2) was tried in place of epoll.
    #[cold]
    pub fn end_trial(&mut self) -> bool {
        self.policy.end_trial()
    }

    pub fn is_on_epoll(&self) -> bool {
        self.is_on_epoll
    }

    pub fn has_epoll(&self) -> bool {
        self.epoll.is_some()
    }

    /// Installs pending entries in the kernel's interest list, in a wait that has `spent` nanoseconds
    /// on others. Returns the nanoseconds that this took, if they were measured.
    pub fn install(&mut self, spent: u64, counters: &Counters) -> Result<u64, Failure> {
        let Self { epoll: Some(epoll), policy, .. } = self else { return Ok(0) };
        let entries = policy.installable(epoll.pending(), spent);
        let start = policy.times_entries(entries).then(|| installation_clock(entries));
        let added = epoll.install(entries, counters)?;
        let Some(start) = start else { return Ok(0) };
        let nanoseconds = installation_clock(entries).saturating_sub(start);
        policy.record_entries(entries, added, nanoseconds);
        Ok(nanoseconds)
    }

    /// Whether the instance is to be replaced before entries are installed.
    pub fn has_exhausted_serials(&mut self) -> bool {
        self.epoll_in_use().is_some_and(|epoll| epoll.has_exhausted_serials())
    }

    /// Opens an instance for [`replace_epoll`](Self::replace_epoll).
    pub fn open_epoll(&self, registrations: &mut Registrations) -> Result<Epoll, Failure> {
        let is_taken = |fd| registrations.interest(fd).is_some();
        let epoll = Epoll::new(is_taken).map_err(|_| Failure::Refused)?;
        registrations.replace_epoll(epoll);
        Ok(epoll)
    }

    /// Moves all entries to the `new` instance, and closes the old one.
    pub fn replace_epoll(&mut self, new: Epoll, counters: &Counters) -> Result<(), Failure> {
        self.epoll_in_use().map_or(Ok(()), |epoll| epoll.replace(new, counters))
    }

    /// Goes on with poll(2), without an epoll instance.
    #[cold]
    pub fn fall_back(&mut self, failure: Failure, counters: &Counters) {
        self.is_on_epoll = false;
        if let (Some(mut epoll), Failure::Lost) = (self.epoll.take(), failure) {
            epoll.abandon();
        }
        self.policy.refused();
        counters.refused.add(1);
    }

    /// The most descriptors that the kernel looks at to poll without blocking.
    pub fn most_polled(&self) -> usize {
        match &self.epoll {
            Some(epoll) if self.is_on_epoll => epoll.most_events(),
            _ => self.poll.len(),
        }
    }

    pub fn registered(&self) -> usize {
        self.registered
    }

    /// The number of slots, vacant ones included.
    #[cfg(feature = "bindings")]
    pub fn slots(&self) -> usize {
        self.poll.len()
    }

    /// Whether to poll with a timeout of 0 before blocking.
    pub fn is_probe_due(&mut self) -> bool {
        self.probing.is_due()
    }

    pub fn record_probe(&mut self, ready: usize) {
        self.probing.record(ready);
    }

    /// Polls by the engine of this wait, until a descriptor is ready or the time is up.
    #[inline]
    pub fn poll(&mut self, timeout: Option<Duration>) -> io::Result<Polled> {
        match &mut self.epoll {
            Some(epoll) if self.is_on_epoll => epoll.poll(timeout, self.poll.results()),
            _ => self.poll.poll(timeout).map(Polled::Ready),
        }
    }

    /// The same with `mask` as the signal mask of the thread.
    #[cold]
    pub fn poll_masked(
        &mut self,
        timeout: Option<Duration>,
        mask: &SignalSet,
    ) -> io::Result<Polled> {
        match &mut self.epoll {
            Some(epoll) if self.is_on_epoll => {
                epoll.poll_masked(timeout, mask, self.poll.results())
            }
            _ => self.poll.poll_masked(timeout, mask).map(Polled::Ready),
        }
    }

    /// The clock before a call of [`poll`](Self::poll), if it is to be timed.
    #[inline]
    pub fn start_timing(&self, timeout: Option<Duration>) -> Option<u64> {
        self.policy.is_timed().then(|| call_clock(timeout))
    }

    /// Records the time of a call that has found `ready` descriptors.
    #[cold]
    pub fn record_call(&mut self, timeout: Option<Duration>, ready: usize, start: u64) {
        let nanoseconds = call_clock(timeout).saturating_sub(start);
        let call = Call { is_on_epoll: self.is_on_epoll, blocks: timeout != Some(Duration::ZERO) };
        self.policy.record_call(call, self.registered, ready, nanoseconds);
    }

    /// The results that poll(2) has had in this wait on epoll, by slot.
    #[cold]
    pub fn kept_results(&self) -> Vec<(usize, PollFlags)> {
        self.epoll.iter().flat_map(|epoll| epoll.kept_results()).collect()
    }

    /// Polls the other descriptors by poll(2), without blocking: to poll those with `results` again
    /// might consume their events. Returns the number of ready ones, with results or new.
    #[cold]
    pub fn poll_rest(&mut self, results: &[(usize, PollFlags)]) -> io::Result<usize> {
        self.poll.poll_rest(results)
    }

    /// Whether epoll needs checks at the beginning of this wait.
    #[inline]
    pub fn is_audit_due(&mut self) -> bool {
        self.epoll_in_use().is_some_and(EpollEngine::is_audit_due)
    }

    /// Makes them. They may leave entries to install.
    pub fn audit(&mut self, counters: &Counters) -> Result<(), Failure> {
        let Some(epoll) = self.epoll_in_use() else { return Ok(()) };
        let outcome = epoll.audit(counters);
        let compared = epoll.comparing_cost();
        self.policy.record_compared(compared);
        outcome
    }

    /// The same in a wait that was blocked until now.
    pub fn audit_blocked(&mut self, counters: &Counters) -> Result<(), Failure> {
        self.epoll_in_use().map_or(Ok(()), |epoll| epoll.audit_blocked(counters))
    }

    /// How long a wait may block before the next checks.
    pub fn until_audit(&mut self, left: Option<Duration>) -> Option<Duration> {
        match (self.epoll_in_use().and_then(|epoll| epoll.pause()), left) {
            (Some(pause), Some(left)) => Some(pause.min(left)),
            (pause, left) => pause.or(left),
        }
    }

    /// Compares epoll with poll(2) when the time of a wait is up, which was blocked for this long.
    /// Returns whether there is an event after all.
    pub fn compare_last(&mut self, blocked: Duration, counters: &Counters) -> bool {
        self.epoll_in_use().is_some_and(|epoll| epoll.compare_last(blocked, counters))
    }

    /// The number of entries to [`install`](Self::install) if a wait is on epoll.
    #[cfg(feature = "bindings")]
    pub fn pending(&self) -> usize {
        self.epoll.as_ref().map_or(0, |epoll| epoll.pending().len())
    }

    /// Whether entries are left to [`install`](Self::install) before the wait goes on.
    #[inline]
    pub fn has_pending(&mut self) -> bool {
        self.epoll_in_use().is_some_and(|epoll| epoll.has_pending())
    }

    #[inline]
    fn epoll_in_use(&mut self) -> Option<&mut EpollEngine> {
        self.epoll.as_deref_mut().filter(|_| self.is_on_epoll)
    }

    /// Records the outcome of a wait, for the next choice.
    #[inline]
    pub fn record(&mut self, ready: usize, has_blocked: bool, counters: &Counters) {
        counters.count_wait(self.is_on_epoll);
        if self.is_on_epoll {
            self.policy.served();
        }
        self.policy.record(Wait {
            descriptors: self.registered,
            ready,
            has_blocked,
            is_on_epoll: self.is_on_epoll,
            has_epoll: self.epoll.is_some(),
        });
    }

    /// Moves events to `events`, each with its slot, in registration order, as many as there is room
    /// for. Returns their number. Each is returned once.
    #[cfg(feature = "bindings")]
    #[inline]
    pub fn take_events(&mut self, events: &mut [(usize, Event)]) -> usize {
        let Self { poll, epoll, is_on_epoll, .. } = self;
        match epoll {
            Some(epoll) if *is_on_epoll => {
                fill(events, || epoll.take_slot().map(|slot| (slot, poll.event(slot))))
            }
            _ => fill(events, || poll.take_slot().map(|slot| (slot, poll.event(slot)))),
        }
    }

    /// The slot of the next event to take.
    #[cfg(feature = "bindings")]
    pub fn next_slot(&self) -> Option<usize> {
        match &self.epoll {
            Some(epoll) if self.is_on_epoll => epoll.next_slot(),
            _ => self.poll.next_slot(),
        }
    }

    /// Calls `function` with the events that were not taken, in registration order.
    #[cfg(feature = "bindings")]
    #[inline]
    pub fn for_each_event(&mut self, mut function: impl FnMut(Event)) {
        match &mut self.epoll {
            Some(epoll) if self.is_on_epoll => {
                let slots = epoll.take_slots().iter();
                slots.for_each(|&slot| function(self.poll.event(slot as usize)));
            }
            _ => self.poll.for_each_event(function),
        }
    }

    /// Appends the events that were not taken to `events`.
    #[inline]
    pub fn move_events_to(&mut self, events: &mut Vec<Event>) {
        match &mut self.epoll {
            Some(epoll) if self.is_on_epoll => {
                let slots = epoll.take_slots().iter();
                events.extend(slots.map(|&slot| self.poll.event(slot as usize)));
            }
            _ => self.poll.move_events_to(events),
        }
    }
}

/// The clock that times calls with this timeout.
#[cold]
fn call_clock(timeout: Option<Duration>) -> u64 {
    // A call that doesn't block takes as long by the clock, which is much cheaper to read.
    if timeout == Some(Duration::ZERO) { now() } else { thread_time() }
}

/// The clock that times installing this number of entries.
#[cold]
fn installation_clock(entries: usize) -> u64 {
    if entries > 1 { thread_time() } else { now() }
}

#[cfg(feature = "bindings")]
#[inline]
fn fill<T>(places: &mut [T], mut next: impl FnMut() -> Option<T>) -> usize {
    let mut filled = 0;
    for (place, value) in places.iter_mut().zip(iter::from_fn(&mut next)) {
        *place = value;
        filled += 1;
    }
    filled
}
