use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use anyhow::Result;

use crate::measure::{Run, timed_round};
use crate::pollers::{EventLoop, Subject};
use crate::report::{Chart, Unit};
use crate::watched_fds::WatchedFds;

pub fn measure(run: &Run) -> Result<Vec<Chart>> {
    let title = "A short-lived connection beside n idle ones";
    let mut chart = Chart::new("churn", title, "idle connections", "connection", Unit::Nanoseconds);
    let sizes = run.sizes(&[0, 10, 100, 1_000, 5_000, 9_000]);
    run.set_length(sizes.len(), run.rounds());
    for n in sizes {
        let idle = WatchedFds::sockets(n, |_| false)?;
        let fds = idle.raw_fds();
        let mut subjects = Vec::from(Subject::ALL);
        subjects.insert(2, Subject::EpollWithoutDelete);
        // The connection gets a free number, which is most likely above all others.
        let new_fd = fds.iter().max().map_or(0, |highest| highest + 20);
        subjects.retain(|subject| subject.can_watch(new_fd));
        let mut rounds = Vec::new();
        for &subject in &subjects {
            let mut event_loop = EventLoop::watching(subject, &fds)?;
            rounds.push(timed_round(move || {
                serve_connection(&mut event_loop).expect("the connection is served");
            }));
        }
        run.add_points(&mut chart, n, &subjects, &mut rounds)?;
    }
    Ok(vec![chart])
}

fn serve_connection(event_loop: &mut EventLoop) -> Result<()> {
    let (mut connection, mut client) = UnixStream::pair()?;
    event_loop.poller.add(connection.as_raw_fd())?;
    client.write_all(b"!")?;
    event_loop.dispatch(None, |_, fd| {
        assert_eq!(fd, connection.as_raw_fd());
        connection.read_exact(&mut [0])?;
        Ok(false)
    })?;
    event_loop.poller.remove(connection.as_raw_fd())
}
