//! What the last waits were like.

use super::Wait;

/// The averages of the last few waits.
pub struct Load {
    pub ready: f32,
    /// The share of the waits that have blocked.
    pub blocked: f32,
    last_ready: u32,
    last_blocked: bool,
    /// The averages are those of the last wait.
    pub is_steady: bool,
}

/// Before the first wait.
const NONE: u32 = u32::MAX;

impl Load {
    pub const fn new() -> Self {
        Self { ready: 0.0, blocked: 0.0, last_ready: NONE, last_blocked: false, is_steady: false }
    }

    /// Whether the averages don't change by this wait.
    #[inline]
    pub fn is_steady_at(&self, wait: Wait) -> bool {
        self.is_steady
            && (self.last_ready, self.last_blocked) == (wait.ready as u32, wait.has_blocked)
    }

    pub fn add(&mut self, wait: Wait) {
        let (ready, blocked) = (wait.ready as f32, f32::from(u8::from(wait.has_blocked)));
        if self.last_ready == NONE {
            (self.ready, self.blocked) = (ready, blocked);
        }
        self.ready = approach(self.ready, ready);
        self.blocked = approach(self.blocked, blocked);
        (self.last_ready, self.last_blocked) = (wait.ready as u32, wait.has_blocked);
        self.is_steady = (self.ready, self.blocked) == (ready, blocked);
    }
}

fn approach(average: f32, value: f32) -> f32 {
    let difference = value - average;
    if difference.abs() < 0.02 { value } else { average + difference / 4.0 }
}
