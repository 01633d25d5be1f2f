//! A chat server in one thread: every client is told what the others say, line by line.
//!
//! ```sh
//! cargo run --release -p pollset --example chat [ADDRESS]
//! ```
//!
//! Talk to it with `nc`. Press Enter to end it.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};

use pollset::{Event, PollFlags, PollSet};

/// How much is read at a time. A line may have as much.
const LINE: usize = 4 * 1024;
/// The most that is kept for a client that doesn't listen.
const UNSENT: usize = 64 * 1024;

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:0".into());
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    println!("listening on {}", listener.local_addr()?);

    let stdin = io::stdin();
    let set = PollSet::new();
    set.register(&stdin, PollFlags::IN)?;
    set.register(&listener, PollFlags::IN)?;
    let mut room = Room { set, listener, clients: HashMap::new() };
    loop {
        for event in room.set.poll(None)? {
            if event.is_for(&stdin) {
                return Ok(());
            } else if event.is_for(&room.listener) {
                room.let_in()?;
            } else {
                room.attend_to(event)?;
            }
        }
    }
}

struct Room {
    set: PollSet,
    listener: TcpListener,
    clients: HashMap<RawFd, Client>,
}

impl Room {
    fn let_in(&mut self) -> io::Result<()> {
        let (stream, name) = match self.listener.accept() {
            Ok(accepted) => accepted,
            Err(error) if is_passing(&error) => return Ok(()),
            Err(error) if self.clients.is_empty() => return Err(error),
            // There is no descriptor for it: it waits until another client has left.
            Err(_) => return self.set.modify(&self.listener, PollFlags::empty()),
        };
        stream.set_nonblocking(true)?;
        let fd = stream.as_raw_fd();
        self.set.register(fd, PollFlags::IN)?;
        self.clients.insert(fd, Client { stream, name, heard: Vec::new(), unsent: Vec::new() });
        self.tell_others(fd, &format!("{name} is here\n"))
    }

    fn attend_to(&mut self, Event { fd, revents }: Event) -> io::Result<()> {
        let Some(client) = self.clients.get_mut(&fd) else { return Ok(()) };
        let sends = revents.intersects(PollFlags::OUT);
        let outcome = if sends { client.send() } else { client.hear() };
        let mut news = client.lines();
        if outcome.unwrap_or_else(|error| is_passing(&error)) {
            self.set.modify(fd, client.waits_for())?;
        } else {
            news += &format!("{} has left\n", client.name);
            self.set.unregister(fd)?;
            self.clients.remove(&fd);
            self.set.modify(&self.listener, PollFlags::IN)?;
        }
        if news.is_empty() { Ok(()) } else { self.tell_others(fd, &news) }
    }

    fn tell_others(&mut self, teller: RawFd, news: &str) -> io::Result<()> {
        for (&fd, client) in self.clients.iter_mut().filter(|&(&fd, _)| fd != teller) {
            if client.unsent.len() + news.len() <= UNSENT {
                client.unsent.extend_from_slice(news.as_bytes());
                self.set.modify(fd, client.waits_for())?;
            } else {
                // It may have hung up already. Either way, the next wait reports that it has.
                let _ = client.stream.shutdown(Shutdown::Both);
            }
        }
        Ok(())
    }
}

struct Client {
    stream: TcpStream,
    name: SocketAddr,
    heard: Vec<u8>,
    unsent: Vec<u8>,
}

impl Client {
    fn send(&mut self) -> io::Result<bool> {
        let count = self.stream.write(&self.unsent)?;
        self.unsent.drain(..count);
        Ok(true)
    }

    /// False: it has left, or doesn't end its line.
    fn hear(&mut self) -> io::Result<bool> {
        let mut buffer = [0; LINE];
        let count = self.stream.read(&mut buffer)?;
        self.heard.extend_from_slice(&buffer[..count]);
        Ok(count > 0 && self.heard.len() <= 2 * LINE)
    }

    /// Takes the lines that it has ended.
    fn lines(&mut self) -> String {
        let end = self.heard.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        let ended: Vec<u8> = self.heard.drain(..end).collect();
        let ended = String::from_utf8_lossy(&ended);
        ended.lines().map(|line| format!("{}: {line}\n", self.name)).collect()
    }

    fn waits_for(&self) -> PollFlags {
        if self.unsent.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT }
    }
}

/// Whether there is nothing to do but to wait again.
fn is_passing(error: &io::Error) -> bool {
    use ErrorKind::{ConnectionAborted, Interrupted, WouldBlock};
    matches!(error.kind(), ConnectionAborted | Interrupted | WouldBlock)
}
