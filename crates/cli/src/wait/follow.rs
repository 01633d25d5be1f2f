//! `--follow`: reports each change of the targets' events.

use std::collections::HashMap;
use std::io;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use pollset::{PollFlags, PollSet};

use super::target::{Source, Target, WRITE_EVENTS};
use super::watch::{Report, Watch};

/// How often a reported target is polled for a change of its events.
const RECHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Events that are permanent for a descriptor or a connection.
const FINAL_EVENTS: PollFlags = PollFlags::ERR.union(PollFlags::HUP).union(PollFlags::NVAL);

/// Events that [`follow`] needs each target to be watched for: `RDHUP`, where the system has it.
pub fn extra_events() -> PollFlags {
    PollFlags::from_name("RDHUP").unwrap_or(PollFlags::empty())
}

/// Reports a target each time that its events change, until the deadline or until every target has
/// ended. Returns whether anything was reported.
pub fn follow(watch: &mut Watch, report: &mut Report) -> io::Result<bool> {
    let mut follower = Follower { watch, reported: PollSet::new(), last_events: HashMap::new() };
    let mut reported_any = false;
    loop {
        let recheck_at = (!follower.reported.is_empty()).then(|| Instant::now() + RECHECK_INTERVAL);
        let ready = follower.watch.wait(recheck_at)?;
        reported_any |= follower.report(ready, report)?;
        let changed = follower.changed()?;
        reported_any |= follower.report(changed, report)?;
        if follower.has_ended() || follower.watch.is_timed_out() {
            return Ok(reported_any);
        }
    }
}

struct Follower<'a> {
    watch: &'a mut Watch,
    /// Targets that were ready when they were last reported. They are suspended in `watch`, since
    /// they would end each wait at once.
    reported: PollSet,
    last_events: HashMap<RawFd, PollFlags>,
}

impl Follower<'_> {
    /// Records new events of targets, and reports those that are not empty. Returns whether there
    /// were any.
    fn report(
        &mut self,
        changes: Vec<(RawFd, PollFlags)>,
        report: &mut Report,
    ) -> io::Result<bool> {
        let mut reported_any = false;
        for (fd, revents) in changes {
            self.record(fd, revents)?;
            if !revents.is_empty() {
                let (index, target) = self.watch.target(fd);
                report(index, target, revents)?;
                reported_any = true;
            }
        }
        Ok(reported_any)
    }

    fn record(&mut self, fd: RawFd, revents: PollFlags) -> io::Result<()> {
        if revents.is_empty() {
            self.reported.unregister(fd)?;
            self.watch.resume(fd)?;
        } else {
            self.watch.suspend(fd);
            self.reported.register(fd, self.watch.interest(fd))?;
        }
        self.last_events.insert(fd, revents);
        Ok(())
    }

    /// The reported targets whose events have changed since, with their events now.
    fn changed(&self) -> io::Result<Vec<(RawFd, PollFlags)>> {
        let ready: HashMap<_, _> = self
            .reported
            .poll(Duration::ZERO)?
            .into_iter()
            .map(|event| (event.fd, event.revents))
            .collect();
        let now = |fd| ready.get(&fd).copied().unwrap_or(PollFlags::empty());
        let fds = self.reported.iter().map(|(fd, _)| fd);
        Ok(fds.map(|fd| (fd, now(fd))).filter(|(fd, now)| self.last_events[fd] != *now).collect())
    }

    /// Whether the events of every target are final.
    fn has_ended(&self) -> bool {
        !self.watch.has_pending_targets()
            && self.watch.open_fds().all(|fd| {
                let final_events = final_events(self.watch.target(fd).1);
                self.last_events.get(&fd).is_some_and(|last| last.intersects(final_events))
            })
    }
}

/// The events after which the events of a target don't change any more.
fn final_events(target: &Target) -> PollFlags {
    match target.source {
        // Other processes may open it again.
        Source::Path(_) => PollFlags::empty(),
        // Only this process could write to it, and it doesn't.
        Source::Tcp { .. } => FINAL_EVENTS | extra_events(),
        Source::Descriptor(_) if target.events.intersects(WRITE_EVENTS) => FINAL_EVENTS,
        Source::Descriptor(_) => FINAL_EVENTS | extra_events(),
    }
}
