//! One client of the echo server.

use std::io;
use std::net::{Shutdown, TcpStream};

use pollset::PollFlags;

use super::transfer::{receive, send};

/// How much is read from a client at a time. What it doesn't take back at once is all that is
/// kept for it: nothing more is read until it has. So this bounds the memory for a client that
/// never reads; one that keeps up costs none between two turns.
pub const CHUNK: usize = 64 * 1024;

pub struct Client {
    stream: TcpStream,
    unsent: Vec<u8>,
    sent: usize,
    /// The client won't send any more.
    finished: bool,
    /// What the client sends from now on is thrown away.
    dismissed: bool,
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
        Ok(Self { stream, unsent: Vec::new(), sent: 0, finished: false, dismissed: false })
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends back what the client has sent, as far as that goes without waiting. Returns how many
    /// bytes it has taken back. Reads once at the most, so that no client keeps the others waiting.
    pub fn echo(&mut self, buffer: &mut [u8; CHUNK]) -> io::Result<(usize, Next)> {
        let mut echoed = self.send_unsent()?;
        if self.dismissed && echoed > 0 && self.unsent.is_empty() {
            self.stream.shutdown(Shutdown::Write)?;
        }
        if self.unsent.is_empty() && !self.finished {
            match receive(&mut self.stream, buffer)? {
                None => {}
                Some(0) => self.finished = true,
                Some(_) if self.dismissed => {}
                Some(count) => {
                    let taken = send(&mut self.stream, &buffer[..count])?;
                    self.unsent.extend_from_slice(&buffer[taken..count]);
                    echoed += taken;
                }
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

    /// From now on the client gets what it is owed, and then the end. What it sends is still read,
    /// since to close a connection with something unread is to reset it.
    pub fn dismiss(&mut self) {
        self.dismissed = true;
    }

    /// How many bytes it has sent that are still here.
    pub fn owed(&self) -> usize {
        self.unsent.len() - self.sent
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
