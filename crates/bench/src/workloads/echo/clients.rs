use std::io::{Read, Write, stdin};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;

use super::{Round, TALKERS};
use crate::pollers::{Contestant, Watching};

const MESSAGE: &[u8; 32] = b"a message of thirty-two bytes..\n";
const ROUND: Duration = Duration::from_millis(400);

/// What talks to every contestant's server is the same: bare epoll.
pub fn run(port: u16, idle: usize) -> Result<()> {
    let mut connections = Vec::new();
    for number in 0..idle + TALKERS {
        let connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        connection.set_nodelay(true)?;
        connections.push(connection);
        // When the server answers the last, it has accepted all; its backlog never overflows.
        if number % 100 == 99 {
            Talk::among(&mut connections[number..])?.go_on_for(Duration::ZERO)?;
        }
    }
    let mut talk = Talk::among(&mut connections[idle..])?;
    println!("connected");
    for line in stdin().lines() {
        line?;
        println!("{}", serde_json::to_string(&talk.go_on_for(ROUND)?)?);
    }
    Ok(())
}

struct Talk<'a> {
    talkers: &'a mut [TcpStream],
    /// By number.
    places: Vec<usize>,
    watching: Watching,
}

impl<'a> Talk<'a> {
    fn among(talkers: &'a mut [TcpStream]) -> Result<Self> {
        let numbers: Vec<_> = talkers.iter().map(AsRawFd::as_raw_fd).collect();
        let mut places = vec![0; numbers.iter().max().map_or(0, |&most| most as usize + 1)];
        for (place, &fd) in numbers.iter().enumerate() {
            places[fd as usize] = place;
        }
        let watching = Contestant::Epoll.watching(&numbers)?;
        Ok(Self { talkers, places, watching })
    }

    /// Each sends its next message when it has the last one back.
    fn go_on_for(&mut self, duration: Duration) -> Result<Round> {
        let mut round_trips = Histogram::<u64>::new(3)?;
        let start = Instant::now();
        for talker in &mut *self.talkers {
            talker.write_all(MESSAGE)?;
        }
        let mut sent_at = vec![start; self.talkers.len()];
        let mut talking = self.talkers.len();
        while talking > 0 {
            self.watching.serve(None, |_, fd| {
                let place = self.places[fd as usize];
                let mut answer = [0; MESSAGE.len()];
                self.talkers[place].read_exact(&mut answer)?;
                ensure!(answer == *MESSAGE, "another message came back");
                let now = Instant::now();
                round_trips.record((now - sent_at[place]).as_nanos() as u64)?;
                if now - start < duration {
                    sent_at[place] = now;
                    self.talkers[place].write_all(MESSAGE)?;
                } else {
                    talking -= 1;
                }
                Ok(true)
            })?;
        }
        Ok(Round {
            messages: round_trips.len(),
            duration: start.elapsed().as_nanos() as f64,
            median: round_trips.value_at_quantile(0.5) as f64,
            percentile_99: round_trips.value_at_quantile(0.99) as f64,
        })
    }
}
