//! A client that behaves well, and notes how long its answers take.

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

/// From the shortest to the longest.
pub struct RoundTrips(Vec<Duration>);

impl Probe {
    /// Starts to talk; the first answer is there when this returns.
    pub fn start(server: &Server) -> Self {
        let mut stream = server.connect();
        stream.set_nodelay(true).unwrap();
        talk(&mut stream, 0);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut round_trips = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                round_trips.push(talk(&mut stream, round_trips.len() as u64 + 1));
                thread::sleep(PAUSE);
            }
            round_trips.sort_unstable();
            RoundTrips(round_trips)
        });
        Self { stop, thread }
    }

    /// Stops to talk; every message has come back.
    pub fn stop(self) -> RoundTrips {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn talk(stream: &mut TcpStream, number: u64) -> Duration {
    let message = number.to_le_bytes().repeat(8);
    let start = Instant::now();
    stream.write_all(&message).unwrap();
    let mut answer = [0; 64];
    stream.read_exact(&mut answer).unwrap();
    let round_trip = start.elapsed();
    assert_eq!(answer[..], message);
    round_trip
}

/// How many, the median, the 99th percentile, and the longest.
impl fmt::Display for RoundTrips {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quantile = |percent| self.0[(self.0.len() - 1) * percent / 100];
        let [median, percentile_99, longest] = [50, 99, 100].map(quantile);
        write!(f, "{:>7} {median:>9.1?} {percentile_99:>9.1?} {longest:>9.1?}", self.0.len())
    }
}
