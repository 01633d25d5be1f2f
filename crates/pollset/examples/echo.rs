//! An echo server in one thread: it sends all data back to the client.
//!
//! ```sh
//! cargo run --release -p pollset --example echo [ADDRESS]
//! ```
//!
//! Press Enter to stop the server.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use pollset::{PollFlags, PollMap};

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
    let mut map = PollMap::<Option<Client>>::new(); // `None`: not a client
    map.register(stop, PollFlags::IN, None)?;
    map.register(listener, PollFlags::IN, None)?;
    let mut buffer = [0; CHUNK];
    loop {
        map.poll(None)?;
        while let Some((event, client)) = map.next_event() {
            if let Some(client) = client {
                if client.echo(&mut buffer).unwrap_or_else(|error| is_transient(&error)) {
                    let interest = client.interest();
                    map.modify(event.fd, interest)?;
                } else {
                    map.unregister(event.fd)?;
                    map.modify(listener, PollFlags::IN)?;
                }
            } else if event.is_for(stop) {
                return Ok(());
            } else {
                match accept(listener) {
                    Ok(client) => {
                        map.register(client.stream.as_raw_fd(), PollFlags::IN, Some(client))?;
                    }
                    Err(error) if is_transient(&error) => {}
                    Err(error) if map.len() == 2 => return Err(error),
                    // No descriptor is left: the client waits in the backlog until another one
                    // leaves.
                    Err(_) => map.modify(listener, PollFlags::empty())?,
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
    fn echo(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        if self.unsent.is_empty() {
            let count = self.stream.read(buffer)?;
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
