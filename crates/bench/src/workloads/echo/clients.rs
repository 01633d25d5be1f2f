use std::io::{Read, Write, stdin};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;

use super::protocol::RoundStats;
use crate::pollers::{EventLoop, Subject};

const MESSAGE: &[u8; 32] = b"a message of thirty-two bytes..\n";

/// The clients of all subjects' servers are the same: they use bare epoll.
pub fn run(port: u16, idle: usize, active: usize) -> Result<()> {
    let mut connections = Vec::new();
    for index in 0..idle + active {
        let connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        connection.set_nodelay(true)?;
        connections.push(connection);
        // An echo on the newest connection shows that the server has accepted all: so its backlog
        // never overflows.
        if index % 100 == 99 {
            Clients::new(&mut connections[index..])?.exchange_for(Duration::ZERO)?;
        }
    }
    let mut clients = Clients::new(&mut connections[idle..])?;
    println!("connected");
    for line in stdin().lines() {
        let duration = Duration::from_millis(line?.parse()?);
        println!("{}", serde_json::to_string(&clients.exchange_for(duration)?)?);
    }
    Ok(())
}

struct Clients<'a> {
    connections: &'a mut [TcpStream],
    /// The index of a connection, by descriptor.
    indices: Vec<usize>,
    event_loop: EventLoop,
}

impl<'a> Clients<'a> {
    fn new(connections: &'a mut [TcpStream]) -> Result<Self> {
        let fds: Vec<_> = connections.iter().map(AsRawFd::as_raw_fd).collect();
        let mut indices = vec![0; fds.iter().max().map_or(0, |&highest| highest as usize + 1)];
        for (index, &fd) in fds.iter().enumerate() {
            indices[fd as usize] = index;
        }
        let event_loop = EventLoop::watching(Subject::Epoll, &fds)?;
        Ok(Self { connections, indices, event_loop })
    }

    /// Each client sends its next message when it has received the last one back.
    fn exchange_for(&mut self, duration: Duration) -> Result<RoundStats> {
        let mut round_trips = Histogram::<u64>::new(3)?;
        let start = Instant::now();
        for connection in &mut *self.connections {
            connection.write_all(MESSAGE)?;
        }
        let mut sent_at = vec![start; self.connections.len()];
        let mut in_flight = self.connections.len();
        while in_flight > 0 {
            self.event_loop.dispatch(None, |_, fd| {
                let index = self.indices[fd as usize];
                let mut reply = [0; MESSAGE.len()];
                self.connections[index].read_exact(&mut reply)?;
                ensure!(reply == *MESSAGE, "the server sent back another message");
                let now = Instant::now();
                round_trips.record((now - sent_at[index]).as_nanos() as u64)?;
                if now - start < duration {
                    sent_at[index] = now;
                    self.connections[index].write_all(MESSAGE)?;
                } else {
                    in_flight -= 1;
                }
                Ok(true)
            })?;
        }
        Ok(RoundStats {
            messages: round_trips.len(),
            duration: start.elapsed().as_nanos() as f64,
            median: round_trips.value_at_quantile(0.5) as f64,
            percentile_99: round_trips.value_at_quantile(0.99) as f64,
        })
    }
}
