use serde::{Deserialize, Serialize};

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
