//! Connections that a server passes to forked children, and closes.

use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use pollset::{PollFlags, PollSet};

use super::{owned_counters, polled_set};
use crate::helpers::MILLISECOND;
use crate::util::number::enough_fds_for;
use crate::util::process::{Child, in_own_process};
use crate::util::{LONG, NOW};

const CHILDREN: usize = 10;
const CONNECTIONS_PER_CHILD: usize = 100;

fn connections() -> Vec<(OwnedFd, OwnedFd)> {
    let pairs = (0..CONNECTIONS_PER_CHILD).map(|_| UnixStream::pair().unwrap());
    pairs.map(|(one, other)| (one.into(), other.into())).collect()
}

fn assert_all_readable(set: &PollSet, connections: &[(OwnedFd, OwnedFd)]) {
    for (_, client) in connections {
        rustix::io::write(client, b"hello").unwrap();
    }
    let events = set.poll(LONG).unwrap();
    let servers = connections.iter().map(|(server, _)| server.as_raw_fd());
    assert!(events.iter().map(|event| event.fd).eq(servers));
    assert!(events.iter().all(|event| event.revents == PollFlags::IN));
}

#[test]
fn thousand_connections_passed_to_children_leave_no_stale_entries() {
    in_own_process(|| {
        let idle = owned_counters(if enough_fds_for(9_000) { 5_000 } else { 500 });
        let set = polled_set(&idle);
        let (wait, mut end) = std::io::pipe().unwrap();
        let mut children = Vec::new();
        let mut clients = Vec::new();
        for _ in 0..CHILDREN {
            let connections = connections();
            for (server, _) in &connections {
                set.register(server, PollFlags::IN | PollFlags::RDHUP).unwrap();
            }
            assert_all_readable(&set, &connections);
            let child = Child::run(|| {
                polled_set([&wait]).poll(LONG).unwrap();
            });
            children.push(child);
            for (server, client) in connections {
                set.unregister(&server).unwrap();
                drop(server);
                // The file stays open in the child, and becomes readable again.
                rustix::io::write(&client, b"and more").unwrap();
                clients.push(client);
            }
            assert_eq!(set.poll(NOW).unwrap(), []);
        }
        assert_eq!(set.poll(100 * MILLISECOND).unwrap(), []);
        drop(clients);
        assert_eq!(set.poll(NOW).unwrap(), []);
        end.write_all(b"end").unwrap();
        children.into_iter().for_each(Child::join);
        assert_eq!(set.poll(NOW).unwrap(), []);
        assert_eq!(set.stats().replaced, 0);
        assert_eq!(set.len(), idle.len());
    });
}
