//! A well-behaved client that measures its round trips.

use std::fmt;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::util::Server;

const PAUSE: Duration = Duration::from_micros(200);

pub struct Probe {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<RoundTrips>,
}

/// Sorted.
pub struct RoundTrips(Vec<Duration>);

impl Probe {
    /// Starts to send messages. The first echo has arrived when this returns.
    pub fn start(server: &Server) -> Self {
        let mut stream = server.connect();
        stream.set_nodelay(true).unwrap();
        round_trip(&mut stream, 0);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut round_trips = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                round_trips.push(round_trip(&mut stream, round_trips.len() as u64 + 1));
                thread::sleep(PAUSE);
            }
            round_trips.sort_unstable();
            RoundTrips(round_trips)
        });
        Self { stop, thread }
    }

    /// Stops sending. Every message has come back intact; otherwise this panics.
    pub fn stop(self) -> RoundTrips {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn round_trip(stream: &mut TcpStream, number: u64) -> Duration {
    let message = number.to_le_bytes().repeat(8);
    let start = Instant::now();
    stream.write_all(&message).unwrap();
    let mut echo = [0; 64];
    stream.read_exact(&mut echo).unwrap();
    let elapsed = start.elapsed();
    assert_eq!(echo[..], message);
    elapsed
}

/// The number of round trips, the median, the 99th percentile, and the longest.
impl fmt::Display for RoundTrips {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(last) = self.0.len().checked_sub(1) else { return f.write_str("none") };
        let quantile = |percent| self.0[last * percent / 100];
        let [median, percentile_99, longest] = [50, 99, 100].map(quantile);
        write!(f, "{:>7} {median:>9.1?} {percentile_99:>9.1?} {longest:>9.1?}", self.0.len())
    }
}
