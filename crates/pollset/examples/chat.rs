//! A chat server in one thread: it sends each line of a client to all other clients.
//!
//! ```sh
//! cargo run --release -p pollset --example chat [ADDRESS]
//! ```
//!
//! Connect with `nc`. Press Enter to stop the server.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};

use pollset::{PollFlags, PollMap};

/// Maximum bytes per read, and per line.
const MAX_LINE: usize = 4 * 1024;
/// Maximum bytes kept for a client that doesn't read.
const MAX_UNSENT: usize = 64 * 1024;

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:0".into());
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    println!("listening on {}", listener.local_addr()?);

    let stdin = io::stdin();
    let mut chat = Chat::new(); // `None`: not a client
    chat.register(&stdin, PollFlags::IN, None)?;
    chat.register(&listener, PollFlags::IN, None)?;
    loop {
        chat.poll(None)?;
        while let Some((event, client)) = chat.next_event() {
            if let Some(client) = client {
                let can_send = event.revents.intersects(PollFlags::OUT);
                let outcome = if can_send { client.send() } else { client.receive() };
                let mut text = client.take_lines();
                if outcome.unwrap_or_else(|error| is_transient(&error)) {
                    let interest = client.interest();
                    chat.modify(event.fd, interest)?;
                } else {
                    text += &format!("{} has left\n", client.name);
                    chat.unregister(event.fd)?;
                    chat.modify(&listener, PollFlags::IN)?;
                }
                if !text.is_empty() {
                    broadcast(&mut chat, event.fd, &text)?;
                }
            } else if event.is_for(&stdin) {
                return Ok(());
            } else {
                accept(&mut chat, &listener)?;
            }
        }
    }
}

type Chat = PollMap<Option<Client>>;

fn accept(chat: &mut Chat, listener: &TcpListener) -> io::Result<()> {
    let (stream, name) = match listener.accept() {
        Ok(accepted) => accepted,
        Err(error) if is_transient(&error) => return Ok(()),
        Err(error) if chat.len() == 2 => return Err(error),
        // No descriptor is left: the client waits in the backlog until another one leaves.
        Err(_) => return Ok(chat.modify(listener, PollFlags::empty())?),
    };
    stream.set_nonblocking(true)?;
    let fd = stream.as_raw_fd();
    let client = Client { stream, name, received: Vec::new(), unsent: Vec::new() };
    chat.register(fd, PollFlags::IN, Some(client))?;
    broadcast(chat, fd, &format!("{name} is here\n"))
}

fn broadcast(chat: &mut Chat, sender: RawFd, text: &str) -> io::Result<()> {
    let fds: Vec<RawFd> = chat.iter().map(|(fd, _)| fd).filter(|&fd| fd != sender).collect();
    for fd in fds {
        let Some(Some(client)) = chat.get_mut(fd) else { continue };
        if client.unsent.len() + text.len() <= MAX_UNSENT {
            client.unsent.extend_from_slice(text.as_bytes());
            let interest = client.interest();
            chat.modify(fd, interest)?;
        } else {
            // Fails if the client has disconnected. In both cases the next wait reports HUP.
            let _ = client.stream.shutdown(Shutdown::Both);
        }
    }
    Ok(())
}

struct Client {
    stream: TcpStream,
    name: SocketAddr,
    received: Vec<u8>,
    unsent: Vec<u8>,
}

impl Client {
    fn send(&mut self) -> io::Result<bool> {
        let count = self.stream.write(&self.unsent)?;
        self.unsent.drain(..count);
        Ok(true)
    }

    /// Returns false if the client has disconnected, or its line is too long.
    fn receive(&mut self) -> io::Result<bool> {
        let mut buffer = [0; MAX_LINE];
        let count = self.stream.read(&mut buffer)?;
        self.received.extend_from_slice(&buffer[..count]);
        Ok(count > 0 && self.received.len() <= 2 * MAX_LINE)
    }

    /// Takes the complete lines, each with the name of the client.
    fn take_lines(&mut self) -> String {
        let end = self.received.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        let lines: Vec<u8> = self.received.drain(..end).collect();
        let lines = String::from_utf8_lossy(&lines);
        lines.lines().map(|line| format!("{}: {line}\n", self.name)).collect()
    }

    fn interest(&self) -> PollFlags {
        if self.unsent.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT }
    }
}

/// Whether the operation can simply be retried after the next wait.
fn is_transient(error: &io::Error) -> bool {
    use ErrorKind::{ConnectionAborted, Interrupted, WouldBlock};
    matches!(error.kind(), ConnectionAborted | Interrupted | WouldBlock)
}
