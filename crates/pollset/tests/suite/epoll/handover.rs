//! Connections that are given to other processes, as servers do that fork.

use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use pollset::{PollFlags, PollSet};

use super::{asked, counters};
use crate::util::number::enough_for;
use crate::util::process::{Child, alone};
use crate::util::{LONG, NOW};

const CHILDREN: usize = 10;
const EACH: usize = 100;

fn connections() -> Vec<(OwnedFd, OwnedFd)> {
    let pairs = (0..EACH).map(|_| UnixStream::pair().unwrap());
    pairs.map(|(one, other)| (one.into(), other.into())).collect()
}

fn answer(set: &PollSet, connections: &[(OwnedFd, OwnedFd)]) {
    for (_, client) in connections {
        rustix::io::write(client, b"hello").unwrap();
    }
    let events = set.poll(LONG).unwrap();
    let servers = connections.iter().map(|(server, _)| server.as_raw_fd());
    assert!(events.iter().map(|event| event.fd).eq(servers));
    assert!(events.iter().all(|event| event.revents == PollFlags::IN));
}

#[test]
fn a_thousand_connections_handed_over_to_children_leave_nothing_behind() {
    alone(|| {
        let idle = counters(if enough_for(9_000) { 5_000 } else { 500 });
        let set = asked(&idle);
        let (wait, mut end) = std::io::pipe().unwrap();
        let mut children = Vec::new();
        let mut clients = Vec::new();
        for _ in 0..CHILDREN {
            let connections = connections();
            for (server, _) in &connections {
                set.register(server, PollFlags::IN | PollFlags::RDHUP).unwrap();
            }
            answer(&set, &connections);
            let child = Child::run(|| {
                let own = asked([&wait]);
                own.poll(LONG).unwrap();
            });
            children.push(child);
            for (server, client) in connections {
                set.unregister(&server).unwrap();
                drop(server);
                // The file lives on in the child, and has more to read.
                rustix::io::write(&client, b"and more").unwrap();
                clients.push(client);
            }
            assert_eq!(set.poll(NOW).unwrap(), []);
        }
        assert_eq!(set.poll(Duration::from_millis(100)).unwrap(), []);
        drop(clients);
        assert_eq!(set.poll(NOW).unwrap(), []);
        end.write_all(b"end").unwrap();
        children.into_iter().for_each(Child::join);
        assert_eq!(set.poll(NOW).unwrap(), []);
        assert_eq!(set.stats().replaced, 0);
        assert_eq!(set.len(), idle.len());
    });
}
