//! An echo server in one thread: every client gets back what it sends.
//!
//! ```sh
//! cargo run --release -p pollset --example echo [ADDRESS]
//! ```
//!
//! Press Enter to end it.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use pollset::{PollFlags, PollSet};

/// How much is read from a client at a time, and kept for it at most.
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
                    Err(error) if is_passing(&error) => {}
                    Err(error) if clients.is_empty() => return Err(error),
                    // There is no descriptor for it: it waits until another client has left.
                    Err(_) => set.modify(listener, PollFlags::empty())?,
                }
            } else if let Some(client) = clients.get_mut(&event.fd) {
                if client.echo().unwrap_or_else(|error| is_passing(&error)) {
                    set.modify(event.fd, client.waits_for())?;
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

/// Whether there is nothing to do but to wait again.
fn is_passing(error: &io::Error) -> bool {
    use ErrorKind::{ConnectionAborted, Interrupted, WouldBlock};
    matches!(error.kind(), ConnectionAborted | Interrupted | WouldBlock)
}

struct Client {
    stream: TcpStream,
    unsent: Vec<u8>,
}

impl Client {
    /// Sends back what it has sent; reads more only when it has everything back. False: it has
    /// left.
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

    /// A client that is owed nothing could always take more: to wait for `OUT` then is not to wait.
    fn waits_for(&self) -> PollFlags {
        if self.unsent.is_empty() { PollFlags::IN } else { PollFlags::OUT }
    }
}
