//! The reports of the load generator to the server's process: one JSON object a line.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Report {
    Connecting { connected: usize },
    Exchanging { connected: usize, messages_per_second: f64, round_trip: RoundTrip },
    Done(Totals),
}

/// The results of the whole run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Totals {
    /// The time in which the active clients sent messages.
    pub exchange_time: Duration,
    /// Messages of the active clients that came back intact.
    pub messages: u64,
    pub round_trip: RoundTrip,
    /// Messages that came back changed, those of the final check included.
    pub corrupted: u64,
    /// Messages that didn't come back in time, those of the final check included.
    pub lost: u64,
    /// Clients whose connection failed.
    pub dropped: usize,
    /// The error of the first of them.
    pub first_failure: Option<String>,
}

impl Totals {
    pub fn is_success(&self) -> bool {
        self.corrupted == 0 && self.lost == 0 && self.dropped == 0
    }
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct RoundTrip {
    pub median: Duration,
    pub percentile_99: Duration,
    pub longest: Duration,
}

impl From<&Histogram<u64>> for RoundTrip {
    fn from(nanoseconds: &Histogram<u64>) -> Self {
        let quantile = |q| Duration::from_nanos(nanoseconds.value_at_quantile(q));
        Self { median: quantile(0.5), percentile_99: quantile(0.99), longest: quantile(1.0) }
    }
}
