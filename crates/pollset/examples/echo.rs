//! An echo server in one thread: it sends all data back to the client.
//!
//! ```sh
//! cargo run --release -p pollset --example echo [ADDRESS]
//! ```
//!
//! Press Enter to stop the server.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use pollset::{PollFlags, PollSet};

/// Maximum bytes per read, and kept for each client.
const CHUNK: usize = 16 * 1024;

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:0".into());
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    serve(&listener, &io::stdin())
}

/// Serves until `stop` is ready.
pub fn serve(listener: &TcpListener, stop: &impl AsRawFd) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let set = PollSet::new();
    set.register(stop, PollFlags::IN)?;
    set.register(listener, PollFlags::IN)?;
    let mut clients = HashMap::new();
    let mut events = Vec::new();
    loop {
        set.poll_into(&mut events, None)?;
        for event in &events {
            if event.is_for(stop) {
                return Ok(());
            } else if event.is_for(listener) {
                match accept(listener) {
                    Ok(client) => {
                        set.register(&client.stream, PollFlags::IN)?;
                        clients.insert(client.stream.as_raw_fd(), client);
                    }
                    Err(error) if is_transient(&error) => {}
                    Err(error) if clients.is_empty() => return Err(error),
                    // No descriptor is left: the client waits in the backlog until another one
                    // leaves.
                    Err(_) => set.modify(listener, PollFlags::empty())?,
                }
            } else if let Some(client) = clients.get_mut(&event.fd) {
                if client.echo().unwrap_or_else(|error| is_transient(&error)) {
                    set.modify(event.fd, client.interest())?;
                } else {
                    set.unregister(event.fd)?;
                    clients.remove(&event.fd);
                    set.modify(listener, PollFlags::IN)?;
                }
            }
        }
    }
}

fn accept(listener: &TcpListener) -> io::Result<Client> {
    let (stream, _) = listener.accept()?;
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    Ok(Client { stream, unsent: Vec::new() })
}

/// Whether the operation can simply be retried after the next wait.
fn is_transient(error: &io::Error) -> bool {
    use ErrorKind::{ConnectionAborted, Interrupted, WouldBlock};
    matches!(error.kind(), ConnectionAborted | Interrupted | WouldBlock)
}

struct Client {
    stream: TcpStream,
    unsent: Vec<u8>,
}

impl Client {
    /// Reads if all data has been sent back, and sends. Returns false if the client has disconnected.
    fn echo(&mut self) -> io::Result<bool> {
        if self.unsent.is_empty() {
            let mut buffer = [0; CHUNK];
            let count = self.stream.read(&mut buffer)?;
            self.unsent.extend_from_slice(&buffer[..count]);
            if count == 0 {
                return Ok(false);
            }
        }
        let sent = self.stream.write(&self.unsent)?;
        self.unsent.drain(..sent);
        Ok(true)
    }

    /// `OUT` only while data is unsent: otherwise the socket is nearly always writable, and waits would
    /// return at once.
    fn interest(&self) -> PollFlags {
        if self.unsent.is_empty() { PollFlags::IN } else { PollFlags::OUT }
    }
}
