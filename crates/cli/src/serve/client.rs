//! One client of the load generator: sends a message, and waits for the echo.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use pollset::PollFlags;

use super::transfer::{receive, send};

pub struct Client {
    stream: TcpStream,
    index: u64,
    sequence: u64,
    message: Vec<u8>,
    sent: usize,
    received: Vec<u8>,
    started_at: Instant,
}

/// The state of a message.
pub enum Progress {
    WaitFor(PollFlags),
    /// The echo is complete.
    Echoed {
        round_trip: Duration,
        /// It equals the message.
        is_intact: bool,
    },
}

impl Client {
    pub fn connect(address: SocketAddr, index: u64, message_size: usize) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            index,
            sequence: 0,
            message: vec![0; message_size],
            sent: 0,
            received: Vec::new(),
            started_at: Instant::now(),
        })
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Starts a new message. Its pseudo-random bytes depend on the client's index and its number of
    /// messages, so that only very short messages can be equal.
    pub fn start_message(&mut self) -> io::Result<Progress> {
        self.sequence += 1;
        let mut state = self.index << 32 ^ self.sequence;
        for byte in &mut self.message {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            *byte = (state >> 56) as u8;
        }
        self.sent = 0;
        self.received.clear();
        self.started_at = Instant::now();
        self.send()
    }

    /// Receives and sends what is possible without blocking.
    pub fn continue_message(&mut self) -> io::Result<Progress> {
        let mut buffer = [0; 16 * 1024];
        match receive(&mut self.stream, &mut buffer)? {
            None => {}
            Some(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Some(count) => self.received.extend_from_slice(&buffer[..count]),
        }
        if self.received.len() < self.message.len() {
            return self.send();
        }
        let is_intact = self.received == self.message;
        Ok(Progress::Echoed { round_trip: self.started_at.elapsed(), is_intact })
    }

    fn send(&mut self) -> io::Result<Progress> {
        self.sent += send(&mut self.stream, &self.message[self.sent..])?;
        Ok(Progress::WaitFor(if self.sent < self.message.len() {
            PollFlags::IN | PollFlags::OUT
        } else {
            PollFlags::IN
        }))
    }
}
