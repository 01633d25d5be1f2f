//! The echo server: one thread, which waits for the listener and all connections in one set.
//!
//! The others can delay a client by a limited number of operations. Between two checks of
//! a connection there is one [`turn`](Server::turn). It accepts at most 64 connections, and for each
//! ready client it reads at most once, 64 KiB, and writes at most twice, 64 KiB each time. A message
//! that arrives just after a check waits for the rest of that turn, too.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use pollset::{Builder, Engine, Event, PollFlags, PollSet, Stats};
use rustix::net::sockopt;

use super::connection::{CHUNK, Connection, Next};

/// The maximum of connections that wait to be accepted; the kernel lowers it to its own limit.
const BACKLOG: i32 = 4096;
/// The maximum of connections accepted in one turn.
const MAX_ACCEPTS_PER_TURN: usize = 64;
/// The pause in accepting after accept(2) has failed: the system has no descriptor or memory for a
/// connection, or forbids it.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The size of each of the kernel's two buffers for a client. By default Linux lets the buffers of
/// a client that doesn't read grow to 4 MiB and more: a few hundred such clients use up all memory
/// that the kernel has for TCP.
const SOCKET_BUFFER: usize = CHUNK;
/// The time until the first keepalive probe of a silent client, the interval of further probes, and
/// the number of probes without a reply after which the connection fails.
#[cfg(target_os = "linux")]
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(60), Duration::from_secs(10), 6);

pub struct Server {
    set: PollSet,
    listener: TcpListener,
    /// Set while accepting is paused.
    resume_accepting_at: Option<Instant>,
    clients: HashMap<RawFd, Connection>,
    events: Vec<Event>,
    buffer: Box<[u8; CHUNK]>,
    pub counts: Counts,
    /// The last error of accept(2) that paused it.
    pub accept_error: Option<io::Error>,
}

#[derive(Clone, Copy, Default)]
pub struct Counts {
    pub accepted: u64,
    /// Connections that ended by an error, such as a reset.
    pub failed: u64,
    pub echoed_bytes: u64,
}

impl Server {
    pub fn bind(address: impl ToSocketAddrs, engine: Option<Engine>) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        set_options(&listener)?;
        rustix::net::listen(&listener, BACKLOG)?;
        listener.set_nonblocking(true)?;
        let set = Builder::new().engine(engine).build();
        set.register(&listener, PollFlags::IN)?;
        Ok(Self {
            set,
            listener,
            resume_accepting_at: None,
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

    /// Adds a descriptor that [`turn`](Self::turn) returns when it is readable.
    pub fn watch(&self, source: &impl AsRawFd) -> io::Result<()> {
        self.set.register(source, PollFlags::IN)
    }

    /// Waits once, at most until `deadline`, and serves the ready clients. Returns the ready
    /// descriptors that were added with [`watch`](Self::watch).
    pub fn turn(&mut self, deadline: Instant) -> io::Result<Vec<RawFd>> {
        let deadline = self.resume_accepting_at.into_iter().fold(deadline, Instant::min);
        let mut events = std::mem::take(&mut self.events);
        self.set.poll_into(&mut events, deadline)?;

        let mut watched = Vec::new();
        for event in &events {
            if event.is_for(&self.listener) {
                self.accept()?;
            } else if self.clients.contains_key(&event.fd) {
                self.serve(event.fd)?;
            } else {
                watched.push(event.fd);
            }
        }
        self.events = events;
        if self.resume_accepting_at.is_some_and(|at| Instant::now() >= at) {
            self.resume_accepting_at = None;
            self.set.register(&self.listener, PollFlags::IN)?;
        }
        Ok(watched)
    }

    /// Stops accepting, and closes the connections without unsent bytes at once, the others when
    /// their clients have received them.
    pub fn shut_down(&mut self) -> io::Result<()> {
        if self.resume_accepting_at.take().is_none() {
            self.set.unregister(&self.listener)?;
        }
        self.clients.values_mut().for_each(Connection::shut_down);
        let drained = self.clients.iter().filter(|(_, client)| client.unsent() == 0);
        let drained: Vec<RawFd> = drained.map(|(&fd, _)| fd).collect();
        drained.into_iter().try_for_each(|fd| self.remove(fd))
    }

    fn accept(&mut self) -> io::Result<()> {
        for _ in 0..MAX_ACCEPTS_PER_TURN {
            match self.listener.accept() {
                Ok((stream, _)) => self.add(stream)?,
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => break,
                    // The client has closed this one already; there may be others.
                    ErrorKind::ConnectionAborted => {}
                    _ => return self.pause_accepting(error),
                },
            }
        }
        Ok(())
    }

    /// Unregisters the listener for a while: it would stay ready, and so end each wait at once.
    fn pause_accepting(&mut self, error: io::Error) -> io::Result<()> {
        self.accept_error = Some(error);
        self.resume_accepting_at = Some(Instant::now() + ACCEPT_PAUSE);
        Ok(self.set.unregister(&self.listener)?)
    }

    fn add(&mut self, stream: TcpStream) -> io::Result<()> {
        self.counts.accepted += 1;
        let Ok(client) = Connection::new(stream) else {
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
                    Next::WaitFor(events) => return Ok(self.set.modify(fd, events)?),
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

/// Sets the options of the listener that accepted sockets inherit.
fn set_options(listener: &TcpListener) -> io::Result<()> {
    sockopt::set_socket_recv_buffer_size(listener, SOCKET_BUFFER)?;
    sockopt::set_socket_send_buffer_size(listener, SOCKET_BUFFER)?;
    // Urgent data stays in its place in the stream, and is sent back there.
    sockopt::set_socket_oobinline(listener, true)?;
    sockopt::set_socket_keepalive(listener, true)?;
    #[cfg(target_os = "linux")]
    {
        let (idle, interval, count) = KEEPALIVE;
        sockopt::set_tcp_keepidle(listener, idle)?;
        sockopt::set_tcp_keepintvl(listener, interval)?;
        sockopt::set_tcp_keepcnt(listener, count)?;
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
    fn turn_limits_accepted_connections() {
        let mut server = Server::bind("127.0.0.1:0", None).unwrap();
        let clients = connect(&server, 2 * MAX_ACCEPTS_PER_TURN + 1);
        for expected in [MAX_ACCEPTS_PER_TURN, 2 * MAX_ACCEPTS_PER_TURN, clients.len()] {
            turn(&mut server);
            assert_eq!(server.clients(), expected);
        }
    }

    #[test]
    fn turn_serves_each_client_once_and_at_most_one_chunk() {
        let mut server = Server::bind("127.0.0.1:0", None).unwrap();
        let mut heavy = connect(&server, 3);
        let mut light = connect(&server, 3);
        turn(&mut server);
        for client in &mut heavy {
            client.set_nonblocking(true).unwrap();
            while client.write(&[b'x'; CHUNK]).is_ok() {}
        }
        for client in &mut light {
            client.write_all(b"packet").unwrap();
        }
        turn(&mut server);
        for client in &mut heavy {
            let mut echoed = 0;
            while let Ok(count) = client.read(&mut [0; CHUNK]) {
                echoed += count;
            }
            assert!((1..=CHUNK).contains(&echoed), "{echoed}");
        }
        for client in &mut light {
            client.read_exact(&mut [0; 6]).unwrap();
        }
    }

    #[test]
    fn unsent_bytes_are_at_most_one_chunk_per_client() {
        let mut server = Server::bind("127.0.0.1:0", None).unwrap();
        let mut stuck = connect(&server, 1).remove(0);
        stuck.set_nonblocking(true).unwrap();
        for _ in 0..200 {
            while stuck.write(&[b'x'; CHUNK]).is_ok() {}
            turn(&mut server);
            assert!(server.clients.values().all(|client| client.unsent() <= CHUNK));
        }
        assert!(server.clients.values().all(|client| client.unsent() > 0));
    }

    #[test]
    fn failing_listener_does_not_keep_the_server_busy() {
        let mut server = Server::bind("127.0.0.1:0", None).unwrap();
        rustix::net::shutdown(&server.listener, rustix::net::Shutdown::Both).unwrap();
        let start = Instant::now();
        for _ in 0..6 {
            server.turn(start + Duration::from_secs(20)).unwrap();
        }
        assert!(server.accept_error.is_some());
        assert!(start.elapsed() >= 2 * ACCEPT_PAUSE);
    }

    #[test]
    fn shut_down_sends_unsent_bytes_and_then_the_end() {
        let mut server = Server::bind("127.0.0.1:0", None).unwrap();
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
        server.shut_down().unwrap();
        let unsent = server.clients.values().next().unwrap().unsent();
        assert!(unsent > 0);
        let echoed_before = server.counts.echoed_bytes;

        slow.set_nonblocking(false).unwrap();
        let reader = thread::spawn(move || slow.read_to_end(&mut Vec::new()).unwrap());
        while server.clients() > 0 {
            turn(&mut server);
        }
        let echoed = server.counts.echoed_bytes;
        assert_eq!(echoed, echoed_before + unsent as u64);
        assert_eq!(reader.join().unwrap() as u64, echoed);
        assert_eq!(idle.read(&mut [0]).unwrap(), 0);
    }
}
