//! Signal masks where there is no ppoll(2).

/// A set of signals, of which there is none.
pub enum SignalSet {}
