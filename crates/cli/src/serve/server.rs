//! The echo server: a single thread, and one wait for all clients.
//!
//! How long a client may have to wait for the others is bounded by counts: between two looks at it
//! lies one [`turn`](Server::turn), in which 64 connections are accepted at the most, and each
//! ready client is read from once at the most, 64 KiB, and written to twice, as much each time. A
//! message that comes just after a look has to wait for the rest of that turn as well.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use pollset::{Builder, Engine, Event, PollFlags, PollSet, Stats};
use rustix::net::sockopt;

use super::client::{CHUNK, Client, Next};

/// Connections that may wait to be accepted; the system lowers it to what it allows.
const BACKLOG: i32 = 4096;
/// Connections accepted before the other clients are looked at again.
const ACCEPT_AT_ONCE: usize = 64;
/// How long no connection is accepted when the system has no descriptor or memory for one, or
/// forbids it.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The size of each of the system's two buffers for a client. Left to itself, Linux lets those of
/// a client that doesn't read grow to 4 MiB and more: a few hundred such clients have all memory
/// that it has for TCP.
const SOCKET_BUFFER: usize = CHUNK;
/// How long a client may be silent before it is asked whether it is still there; how often then,
/// and how often in vain before it counts as gone.
#[cfg(target_os = "linux")]
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(60), Duration::from_secs(10), 6);

pub struct Server {
    set: PollSet,
    listener: TcpListener,
    accepts_again: Option<Instant>,
    clients: HashMap<RawFd, Client>,
    events: Vec<Event>,
    buffer: Box<[u8; CHUNK]>,
    pub counts: Counts,
    /// Why new connections have to wait, or had to the last time.
    pub accept_error: Option<io::Error>,
}

#[derive(Clone, Copy, Default)]
pub struct Counts {
    pub accepted: u64,
    /// Clients that were lost to an error, such as a reset.
    pub failed: u64,
    pub echoed_bytes: u64,
}

impl Server {
    pub fn bind(address: impl ToSocketAddrs, engine: Engine) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        set_options(&listener)?;
        rustix::net::listen(&listener, BACKLOG)?;
        listener.set_nonblocking(true)?;
        let set = Builder::new().engine(engine).build();
        set.register(&listener, PollFlags::IN)?;
        Ok(Self {
            set,
            listener,
            accepts_again: None,
            clients: HashMap::new(),
            events: Vec::new(),
            buffer: Box::new([0; CHUNK]),
            counts: Counts::default(),
            accept_error: None,
        })
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    pub fn stats(&self) -> Stats {
        self.set.stats()
    }

    /// Has [`turn`](Self::turn) report when there is something to read from `source`, too.
    pub fn watch(&self, source: &impl AsRawFd) -> io::Result<()> {
        self.set.register(source, PollFlags::IN)
    }

    /// Waits once, until `deadline` at the latest, and serves whoever is ready. Returns the
    /// numbers of the watched sources that are ready.
    pub fn turn(&mut self, deadline: Instant) -> io::Result<Vec<RawFd>> {
        let deadline = self.accepts_again.into_iter().fold(deadline, Instant::min);
        let mut events = std::mem::take(&mut self.events);
        self.set.poll_into(&mut events, deadline)?;

        let mut others = Vec::new();
        for event in &events {
            if event.is_for(&self.listener) {
                self.accept()?;
            } else if self.clients.contains_key(&event.fd) {
                self.serve(event.fd)?;
            } else {
                others.push(event.fd);
            }
        }
        self.events = events;
        if self.accepts_again.is_some_and(|again| Instant::now() >= again) {
            self.accepts_again = None;
            self.set.register(&self.listener, PollFlags::IN)?;
        }
        Ok(others)
    }

    /// Accepts nobody any more, and keeps only the clients that are owed something, until they
    /// have taken it.
    pub fn dismiss(&mut self) -> io::Result<()> {
        if self.accepts_again.take().is_none() {
            self.set.unregister(&self.listener)?;
        }
        self.clients.values_mut().for_each(Client::dismiss);
        let done = |(&fd, client): (_, &Client)| (client.owed() == 0).then_some(fd);
        let done: Vec<RawFd> = self.clients.iter().filter_map(done).collect();
        done.into_iter().try_for_each(|fd| self.remove(fd))
    }

    fn accept(&mut self) -> io::Result<()> {
        for _ in 0..ACCEPT_AT_ONCE {
            match self.listener.accept() {
                Ok((stream, _)) => self.add(stream)?,
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => break,
                    // This one is gone already; there may be others.
                    ErrorKind::ConnectionAborted => {}
                    _ => return self.pause_accepting(error),
                },
            }
        }
        Ok(())
    }

    /// Leaves new connections to the system for a while. The listener would stay ready, and keep
    /// the server from waiting.
    fn pause_accepting(&mut self, why: io::Error) -> io::Result<()> {
        self.accept_error = Some(why);
        self.accepts_again = Some(Instant::now() + ACCEPT_PAUSE);
        Ok(self.set.unregister(&self.listener)?)
    }

    fn add(&mut self, stream: TcpStream) -> io::Result<()> {
        self.counts.accepted += 1;
        let Ok(client) = Client::new(stream) else {
            self.counts.failed += 1;
            return Ok(());
        };
        self.set.register(client.stream(), PollFlags::IN)?;
        self.clients.insert(client.stream().as_raw_fd(), client);
        Ok(())
    }

    fn serve(&mut self, fd: RawFd) -> io::Result<()> {
        let Some(client) = self.clients.get_mut(&fd) else {
            return Ok(());
        };
        match client.echo(&mut self.buffer) {
            Ok((echoed, next)) => {
                self.counts.echoed_bytes += echoed as u64;
                match next {
                    Next::WaitFor(events) => return self.set.modify(fd, events),
                    Next::Close => {}
                }
            }
            Err(_) => self.counts.failed += 1,
        }
        self.remove(fd)
    }

    fn remove(&mut self, fd: RawFd) -> io::Result<()> {
        self.set.unregister(fd)?;
        self.clients.remove(&fd);
        Ok(())
    }
}

/// Sets what the sockets of all clients inherit.
fn set_options(listener: &TcpListener) -> io::Result<()> {
    sockopt::set_socket_recv_buffer_size(listener, SOCKET_BUFFER)?;
    sockopt::set_socket_send_buffer_size(listener, SOCKET_BUFFER)?;
    // Urgent data is sent back in its place, like any other.
    sockopt::set_socket_oobinline(listener, true)?;
    sockopt::set_socket_keepalive(listener, true)?;
    #[cfg(target_os = "linux")]
    {
        let (silence, interval, times) = KEEPALIVE;
        sockopt::set_tcp_keepidle(listener, silence)?;
        sockopt::set_tcp_keepintvl(listener, interval)?;
        sockopt::set_tcp_keepcnt(listener, times)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::thread;

    use super::*;

    fn turn(server: &mut Server) {
        let deadline = Instant::now() + Duration::from_millis(10);
        server.turn(deadline).unwrap();
    }

    fn connect(server: &Server, clients: usize) -> Vec<TcpStream> {
        let address = server.address().unwrap();
        (0..clients).map(|_| TcpStream::connect(address).unwrap()).collect()
    }

    #[test]
    fn a_turn_accepts_so_many_and_no_more() {
        let mut server = Server::bind("127.0.0.1:0", Engine::Auto).unwrap();
        let clients = connect(&server, 2 * ACCEPT_AT_ONCE + 1);
        for expected in [ACCEPT_AT_ONCE, 2 * ACCEPT_AT_ONCE, clients.len()] {
            turn(&mut server);
            assert_eq!(server.clients(), expected);
        }
    }

    #[test]
    fn a_turn_serves_each_client_once_and_a_greedy_one_with_one_chunk() {
        let mut server = Server::bind("127.0.0.1:0", Engine::Auto).unwrap();
        let mut greedy = connect(&server, 3);
        let mut modest = connect(&server, 3);
        turn(&mut server);
        for client in &mut greedy {
            client.set_nonblocking(true).unwrap();
            while client.write(&[b'x'; CHUNK]).is_ok() {}
        }
        for client in &mut modest {
            client.write_all(b"a word").unwrap();
        }
        turn(&mut server);
        for client in &mut greedy {
            let mut echoed = 0;
            while let Ok(count) = client.read(&mut [0; CHUNK]) {
                echoed += count;
            }
            assert!((1..=CHUNK).contains(&echoed), "{echoed}");
        }
        for client in &mut modest {
            client.read_exact(&mut [0; 6]).unwrap();
        }
    }

    #[test]
    fn what_is_kept_for_a_client_is_at_most_one_chunk() {
        let mut server = Server::bind("127.0.0.1:0", Engine::Auto).unwrap();
        let mut stuck = connect(&server, 1);
        stuck[0].set_nonblocking(true).unwrap();
        for _ in 0..200 {
            while stuck[0].write(&[b'x'; CHUNK]).is_ok() {}
            turn(&mut server);
            assert!(server.clients.values().all(|client| client.owed() <= CHUNK));
        }
        assert!(server.clients.values().all(|client| client.owed() > 0));
    }

    #[test]
    fn a_listener_that_keeps_failing_does_not_keep_the_server_busy() {
        let mut server = Server::bind("127.0.0.1:0", Engine::Auto).unwrap();
        rustix::net::shutdown(&server.listener, rustix::net::Shutdown::Both).unwrap();
        let start = Instant::now();
        for _ in 0..6 {
            server.turn(start + Duration::from_secs(20)).unwrap();
        }
        assert!(server.accept_error.is_some());
        assert!(start.elapsed() >= 2 * ACCEPT_PAUSE);
    }

    #[test]
    fn dismissed_clients_take_what_they_are_owed_and_see_the_end() {
        let mut server = Server::bind("127.0.0.1:0", Engine::Auto).unwrap();
        let mut idle = TcpStream::connect(server.address().unwrap()).unwrap();
        let mut slow = TcpStream::connect(server.address().unwrap()).unwrap();
        slow.set_nonblocking(true).unwrap();
        let mut stuck_for = 0;
        while stuck_for < 20 {
            match slow.write(&[b'x'; CHUNK]) {
                Ok(_) => stuck_for = 0,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    stuck_for += 1;
                }
            }
            turn(&mut server);
        }
        server.dismiss().unwrap();
        let owed = server.clients.values().next().unwrap().owed();
        assert!(owed > 0);
        let echoed_before = server.counts.echoed_bytes;

        slow.set_nonblocking(false).unwrap();
        let reader = thread::spawn(move || slow.read_to_end(&mut Vec::new()).unwrap());
        while server.clients() > 0 {
            turn(&mut server);
        }
        let echoed = server.counts.echoed_bytes;
        assert_eq!(echoed, echoed_before + owed as u64);
        assert_eq!(reader.join().unwrap() as u64, echoed);
        assert_eq!(idle.read(&mut [0]).unwrap(), 0);
    }
}
