//! One client of the echo server.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use pollset::PollFlags;

/// How much is read from a client at a time. What it doesn't take back at once is all that is
/// kept for it: nothing more is read until it has.
pub const CHUNK: usize = 64 * 1024;

pub struct Client {
    stream: TcpStream,
    unsent: Vec<u8>,
    sent: usize,
    /// The client won't send any more.
    finished: bool,
}

/// What becomes of a client.
pub enum Next {
    WaitFor(PollFlags),
    /// It has everything back and won't send any more.
    Close,
}

impl Client {
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            unsent: Vec::new(),
            sent: 0,
            finished: false,
        })
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends back what the client has sent, as far as that goes without waiting. Returns how many
    /// bytes it has taken back. Reads once at the most, so that no client keeps the others waiting.
    pub fn echo(&mut self, buffer: &mut [u8; CHUNK]) -> io::Result<(usize, Next)> {
        let mut echoed = self.send_unsent()?;
        if self.unsent.is_empty() && !self.finished {
            match self.stream.read(buffer) {
                Ok(0) => self.finished = true,
                Ok(count) => {
                    let taken = send(&mut self.stream, &buffer[..count])?;
                    self.unsent.extend_from_slice(&buffer[taken..count]);
                    echoed += taken;
                }
                Err(error) if is_transient(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let next = if !self.unsent.is_empty() {
            Next::WaitFor(PollFlags::OUT)
        } else if self.finished {
            Next::Close
        } else {
            Next::WaitFor(PollFlags::IN)
        };
        Ok((echoed, next))
    }

    fn send_unsent(&mut self) -> io::Result<usize> {
        let taken = send(&mut self.stream, &self.unsent[self.sent..])?;
        self.sent += taken;
        if self.sent == self.unsent.len() {
            self.unsent = Vec::new();
            self.sent = 0;
        }
        Ok(taken)
    }
}

/// Sends as much as goes without waiting; returns how much that is.
fn send(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut sent = 0;
    while sent < bytes.len() {
        match stream.write(&bytes[sent..]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
