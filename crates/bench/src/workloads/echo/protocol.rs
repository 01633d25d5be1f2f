use serde::{Deserialize, Serialize};

pub const ACTIVE_CLIENTS: usize = 100;

/// Statistics of a round, as the clients measure them. Times are in nanoseconds.
#[derive(Serialize, Deserialize)]
pub struct RoundStats {
    pub messages: u64,
    pub duration: f64,
    /// Of the round trips.
    pub median: f64,
    /// Of the round trips.
    pub percentile_99: f64,
}
