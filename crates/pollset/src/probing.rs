//! Decides whether a wait polls once with a timeout of 0 before it blocks: a *probe*.
//!
//! With a timeout of 0, poll(2) costs a quarter to a half of what it costs to block: the kernel
//! enters no descriptor into a wait queue, and no clock is read. Each probe without an event doubles
//! the number of waits that skip it, up to 15 of 16. So a set that is mostly idle pays next to
//! nothing for its probes.

pub struct Probing {
    /// The number of waits that skip the probe from now on.
    skip: u8,
    /// The same after the next probe without an event.
    backoff: u8,
}

impl Probing {
    const MAX_SKIPPED: u8 = 15;

    pub const fn new() -> Self {
        Self { skip: 0, backoff: 0 }
    }

    pub fn is_due(&mut self) -> bool {
        let due = self.skip == 0;
        self.skip = self.skip.saturating_sub(1);
        due
    }

    /// Records a probe and the number of its events.
    pub fn record(&mut self, ready: usize) {
        if ready > 0 {
            self.backoff = 0;
        } else {
            self.skip = self.backoff;
            self.backoff = (2 * self.backoff + 1).min(Self::MAX_SKIPPED);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Probing;

    /// Makes waits without events; returns how many of them probed.
    fn idle_waits(probing: &mut Probing, waits: usize) -> usize {
        let probes = (0..waits).filter(|_| {
            let due = probing.is_due();
            if due {
                probing.record(0);
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
    fn each_probe_without_an_event_doubles_the_skipped_waits() {
        let mut probing = Probing::new();
        for skipped in [0, 0, 1, 3, 7, 15, 15] {
            for _ in 0..skipped {
                assert!(!probing.is_due());
            }
            assert!(probing.is_due());
            probing.record(0);
        }
    }

    #[test]
    fn a_probe_with_an_event_ends_the_backoff() {
        let mut probing = Probing::new();
        idle_waits(&mut probing, 100);
        while !probing.is_due() {}
        probing.record(1);
        for _ in 0..100 {
            assert!(probing.is_due());
            probing.record(1);
        }
        probing.record(0);
        assert!(probing.is_due(), "a single miss among hits");
    }

    #[test]
    fn a_single_probe_without_an_event_skips_nothing() {
        let mut probing = Probing::new();
        assert!(probing.is_due());
        probing.record(0);
        assert!(probing.is_due());
    }
}
