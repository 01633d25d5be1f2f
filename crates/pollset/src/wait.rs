use std::io;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crate::engine::ArrayEngine;
use crate::registrations::Registrations;
use crate::{Event, Timeout};

/// What a wait works with. It belongs to one wait at a time and is kept between them.
pub struct Wait {
    array: ArrayEngine,
    probing: Probing,
    is_new: bool,
}

impl Wait {
    pub const fn new() -> Self {
        Self {
            array: ArrayEngine::new(),
            probing: Probing::new(),
            is_new: true,
        }
    }

    /// Whether changes must be applied even if none were made since the last wait.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    pub fn apply_changes(&mut self, registrations: &mut Registrations) {
        self.array.apply_changes(registrations);
        self.is_new = false;
    }

    /// Waits until something is ready or the time is up; returns how many descriptors are ready.
    ///
    /// Asking with timeout 0 costs a quarter of asking with a timeout, for which the kernel enters
    /// each descriptor that it meets into a wait queue. So this asks first, and waits if nothing
    /// is ready.
    pub fn run(
        &mut self,
        timeout: Timeout,
        mut on_interrupt: impl FnMut() -> ControlFlow<()>,
    ) -> io::Result<usize> {
        let mut retry = |error: io::Error| match error.kind() {
            io::ErrorKind::Interrupted if on_interrupt().is_continue() => Ok(()),
            _ => Err(error),
        };

        if timeout.is_zero() {
            loop {
                match self.array.ask(Some(Duration::ZERO)) {
                    Err(error) => retry(error)?,
                    answer => return answer,
                }
            }
        }

        if self.probing.is_due() {
            match self.array.ask(Some(Duration::ZERO)) {
                Ok(0) => self.probing.came_up_empty(),
                Ok(ready) => {
                    self.probing.found_something();
                    return Ok(ready);
                }
                Err(error) => retry(error)?,
            }
        }

        // The clock is read only from here on: what is ready at once is reported without it.
        let (deadline, mut left) = timeout.start();
        loop {
            let interrupted = match self.array.ask(left) {
                Ok(0) => false,
                Err(error) => retry(error).map(|()| true)?,
                answer => return answer,
            };
            left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            // After a signal, what became ready meanwhile is asked for even if the time is up.
            if left == Some(Duration::ZERO) && !interrupted {
                return Ok(0);
            }
        }
    }

    pub fn events(&self, ready: usize) -> impl Iterator<Item = Event> + '_ {
        self.array.events(ready)
    }
}

/// Decides whether to ask with timeout 0 before waiting.
///
/// Each time that this finds nothing doubles the number of waits that go without, up to 15 of 16,
/// so a set that is mostly idle pays next to nothing for it.
struct Probing {
    /// Waits still to go without.
    skip: u8,
    /// How many to skip after the next one that finds nothing.
    backoff: u8,
}

impl Probing {
    const MOST_SKIPPED: u8 = 15;

    const fn new() -> Self {
        Self {
            skip: 0,
            backoff: 0,
        }
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
    fn one_that_finds_something_brings_them_all_back() {
        let mut probing = Probing::new();
        idle_waits(&mut probing, 100);
        while !probing.is_due() {}
        probing.found_something();
        for _ in 0..100 {
            assert!(probing.is_due());
            probing.found_something();
        }
    }

    #[test]
    fn a_single_miss_among_hits_costs_no_more_than_that_probe() {
        let mut probing = Probing::new();
        assert!(probing.is_due());
        probing.came_up_empty();
        assert!(probing.is_due());
    }
}
