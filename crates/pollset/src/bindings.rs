//! What bindings to other languages need of a wait.

use crate::waiting::{Stage, Waiting, polls_few};
use crate::{Event, PollFlags};

/// A short step takes no more changes.
const FEW_CHANGES: usize = 64;

impl Waiting<'_> {
    /// Whether the next step doesn't block, and is usually over in a few microseconds: it takes few
    /// changes, and polls few descriptors or gets few events.
    ///
    /// On epoll it may also make checks of the audit, for up to 15 µs. The first wait after an
    /// anonymous file (an eventfd, say) was registered takes 3 µs to determine its kind. And a
    /// file whose readiness another process decides (FUSE) may take any time.
    #[inline]
    #[must_use]
    pub fn is_short(&mut self) -> bool {
        let Some(engines) = self.engines.get() else { return false };
        match self.stage {
            Stage::Prepare => {
                self.shared.changes().saturating_add(engines.pending()) <= FEW_CHANGES
                    && !engines.should_create_epoll()
            }
            Stage::Poll => polls_few(engines) && !self.must_replace_epoll,
            Stage::Block => false,
            Stage::Over { .. } => true,
        }
    }

    /// The next event, in registration order. Each is returned once. `None` if there are no more, or
    /// the wait isn't over.
    #[inline]
    pub fn take_event(&mut self) -> Option<Event> {
        let mut event = [(0, Event { fd: 0, revents: PollFlags::empty() })];
        (self.take_events(&mut event) == 1).then(|| event[0].1)
    }

    /// Writes the next events to `events`, as many as it has room for, and returns their number. Each
    /// comes with the *slot* of its registration, for caches: a number below
    /// [`slots`](Self::slots), which stays the same until descriptors that were registered earlier
    /// are unregistered.
    #[inline]
    pub fn take_events(&mut self, events: &mut [(usize, Event)]) -> usize {
        match (self.stage, self.engines.get()) {
            (Stage::Over { .. }, Some(engines)) => engines.take_events(events),
            _ => 0,
        }
    }

    /// The number of slots of this wait, once it is over: no fewer than descriptors, and no more than
    /// about twice as many.
    #[must_use]
    pub fn slots(&mut self) -> usize {
        self.engines.get().map_or(0, |engines| engines.slots())
    }
}
