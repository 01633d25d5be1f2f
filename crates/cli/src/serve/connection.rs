//! The server's connection to one client: sends back what it receives.

use std::io;
use std::net::{Shutdown, TcpStream};

use pollset::PollFlags;

use super::transfer::{receive, send};

/// The maximum of bytes per read. The server reads from a client again only after it has sent back
/// all bytes of the last read. So this bounds the memory for a client that never reads; a client
/// that reads its echoes at once takes no memory between two turns.
pub const CHUNK: usize = 64 * 1024;

pub struct Connection {
    stream: TcpStream,
    unsent: Vec<u8>,
    sent: usize,
    /// The client has shut down its side.
    has_ended: bool,
    /// The server is shutting down: input is discarded.
    is_shut_down: bool,
}

pub enum Next {
    WaitFor(PollFlags),
    /// Everything has been sent back, and the client has shut down its side.
    Close,
}

impl Connection {
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, unsent: Vec::new(), sent: 0, has_ended: false, is_shut_down: false })
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends back received bytes without blocking, and returns how many. Reads at most once, so
    /// that a client can't delay the others.
    pub fn echo(&mut self, buffer: &mut [u8; CHUNK]) -> io::Result<(usize, Next)> {
        let mut echoed = self.send_unsent()?;
        if self.is_shut_down && echoed > 0 && self.unsent.is_empty() {
            self.stream.shutdown(Shutdown::Write)?;
        }
        if self.unsent.is_empty() && !self.has_ended {
            match receive(&mut self.stream, buffer)? {
                None => {}
                Some(0) => self.has_ended = true,
                Some(_) if self.is_shut_down => {}
                Some(count) => {
                    let sent = send(&mut self.stream, &buffer[..count])?;
                    self.unsent.extend_from_slice(&buffer[sent..count]);
                    echoed += sent;
                }
            }
        }
        let next = if !self.unsent.is_empty() {
            Next::WaitFor(PollFlags::OUT)
        } else if self.has_ended {
            Next::Close
        } else {
            Next::WaitFor(PollFlags::IN)
        };
        Ok((echoed, next))
    }

    /// From now on only sends the unsent bytes, and then the end of the stream. Input is still
    /// read, since closing a socket with unread input resets the connection.
    pub fn shut_down(&mut self) {
        self.is_shut_down = true;
    }

    /// The number of bytes that were received and not sent back yet.
    pub fn unsent(&self) -> usize {
        self.unsent.len() - self.sent
    }

    fn send_unsent(&mut self) -> io::Result<usize> {
        let count = send(&mut self.stream, &self.unsent[self.sent..])?;
        self.sent += count;
        if self.sent == self.unsent.len() {
            self.unsent = Vec::new();
            self.sent = 0;
        }
        Ok(count)
    }
}
