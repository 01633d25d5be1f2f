use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use anyhow::Result;

use super::waits::add_results;
use crate::crowd::Crowd;
use crate::measure::{Run, calls};
use crate::pollers::{Contestant, Watching};
use crate::report::{Chart, Unit};

pub fn measure(run: &Run) -> Result<Vec<Chart>> {
    let title = "A connection comes, is served once and goes, beside n idle ones";
    let mut chart =
        Chart::new("churn", title, "idle connections", "a connection", Unit::Nanoseconds);
    let sizes = run.sizes(&[0, 10, 100, 1_000, 5_000, 9_000]);
    run.expect(sizes.len(), run.rounds());
    for n in sizes {
        let crowd = Crowd::of_sockets(n, |_| false)?;
        let numbers = crowd.numbers();
        let mut contestants = Vec::from(Contestant::ALL);
        contestants.insert(2, Contestant::EpollLeftToClose);
        // The connection's number is a free one, and most likely above all others.
        let free = numbers.iter().max().map_or(0, |most| most + 20);
        contestants.retain(|contestant| contestant.can_watch(free));
        let mut players = Vec::new();
        for contestant in &contestants {
            let mut watching = contestant.watching(&numbers)?;
            players.push(calls(move || serve_one(&mut watching).expect("it is served")));
        }
        add_results(run, &mut chart, n, &contestants, &mut players)?;
    }
    Ok(vec![chart])
}

fn serve_one(watching: &mut Watching) -> Result<()> {
    let (mut connection, mut client) = UnixStream::pair()?;
    watching.poller.add(connection.as_raw_fd())?;
    client.write_all(b"!")?;
    watching.serve(None, |_, fd| {
        assert_eq!(fd, connection.as_raw_fd());
        connection.read_exact(&mut [0])?;
        Ok(false)
    })?;
    watching.poller.remove(connection.as_raw_fd())
}
