//! `--follow`: reports each change of the targets' events.

use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

use anyhow::Result;
use pollset::{PollFlags, PollMap};

use super::report::Reporter;
use super::target::{Condition, Source, Target, WRITE_EVENTS, hang_up_events};
use super::watch::Watch;

/// How often a reported target is polled for a change of its events.
const RECHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Events that are permanent for a descriptor or a connection.
const FINAL_EVENTS: PollFlags = PollFlags::ERR.union(PollFlags::HUP).union(PollFlags::NVAL);

/// Reports a target each time that its events change, until the deadline or until every target has
/// ended. Returns whether anything was reported.
pub fn follow(watch: &mut Watch, reporter: &mut Reporter) -> Result<bool> {
    let mut follower = Follower { watch, reported: PollMap::new(), last_events: HashMap::new() };
    let mut reported_any = false;
    loop {
        let recheck_at = (!follower.reported.is_empty()).then(|| Instant::now() + RECHECK_INTERVAL);
        let met = follower.watch.wait(recheck_at)?;
        let ready = met.into_iter().filter_map(|(index, condition)| match condition {
            Condition::Events(revents) => Some((index, revents)),
            _ => None, // refused on the command line
        });
        reported_any |= follower.report(ready.collect(), reporter)?;
        let changed = follower.changed()?;
        reported_any |= follower.report(changed, reporter)?;
        if follower.has_ended() || follower.watch.is_timed_out() {
            return Ok(reported_any);
        }
    }
}

struct Follower<'a> {
    watch: &'a mut Watch,
    /// Targets that were ready when they were last reported. They are suspended in `watch`, since
    /// they would end each wait at once.
    reported: PollMap<usize>,
    last_events: HashMap<usize, PollFlags>,
}

impl Follower<'_> {
    /// Records new events of targets, and reports those that are not empty. Returns whether there
    /// were any.
    fn report(
        &mut self,
        changes: Vec<(usize, PollFlags)>,
        reporter: &mut Reporter,
    ) -> io::Result<bool> {
        let mut reported_any = false;
        for (index, revents) in changes {
            self.record(index, revents)?;
            if !revents.is_empty() {
                let (position, target) = self.watch.target(index);
                reporter.report(position, target, Condition::Events(revents))?;
                reported_any = true;
            }
        }
        Ok(reported_any)
    }

    fn record(&mut self, index: usize, revents: PollFlags) -> io::Result<()> {
        let Some(fd) = self.watch.fd(index) else { return Ok(()) };
        if revents.is_empty() {
            self.reported.unregister(fd)?;
            self.watch.resume(index)?;
        } else {
            self.watch.suspend(index);
            self.reported.register(fd, self.watch.interest(index), index)?;
        }
        self.last_events.insert(index, revents);
        Ok(())
    }

    /// The reported targets whose events have changed since, with their events now.
    fn changed(&mut self) -> io::Result<Vec<(usize, PollFlags)>> {
        self.reported.poll(Duration::ZERO)?;
        let mut ready = HashMap::new();
        while let Some((event, &mut index)) = self.reported.next_event() {
            ready.insert(index, event.revents);
        }
        let now = |index| ready.get(&index).copied().unwrap_or(PollFlags::empty());
        let all = self.reported.iter().map(|(_, &index)| (index, now(index)));
        let mut changes: Vec<_> =
            all.filter(|(index, now)| self.last_events[index] != *now).collect();
        changes.sort_unstable_by_key(|&(index, _)| index);
        Ok(changes)
    }

    /// Whether the events of every target are final.
    fn has_ended(&self) -> bool {
        (0..self.watch.len()).all(|index| {
            let final_events = final_events(self.watch.target(index).1);
            self.last_events.get(&index).is_some_and(|last| last.intersects(final_events))
        })
    }
}

/// The events after which the events of a target don't change any more.
fn final_events(target: &Target) -> PollFlags {
    let writes = match target.condition {
        Condition::Events(events) => events.intersects(WRITE_EVENTS),
        _ => false,
    };
    match target.source {
        // Other processes may open it again.
        Source::Path(_) => PollFlags::empty(),
        // Other processes may write to it.
        Source::Descriptor(_) if writes => FINAL_EVENTS,
        // Only this process could write to a connection, and it doesn't.
        _ => FINAL_EVENTS | hang_up_events(),
    }
}
