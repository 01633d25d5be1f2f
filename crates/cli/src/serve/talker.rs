//! One client of the crowd: it says a message, and listens until it has come back.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use pollset::PollFlags;

use super::transfer::{receive, send};

pub struct Talker {
    stream: TcpStream,
    number: u64,
    sequence: u64,
    message: Vec<u8>,
    sent: usize,
    /// What has come back of the message.
    heard: Vec<u8>,
    said_at: Instant,
}

/// How far a message has come.
pub enum Progress {
    WaitFor(PollFlags),
    /// It is back: after how long, and whether unchanged.
    Back {
        round_trip: Duration,
        intact: bool,
    },
}

impl Talker {
    pub fn connect(address: SocketAddr, number: u64, message_size: usize) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            number,
            sequence: 0,
            message: vec![0; message_size],
            sent: 0,
            heard: Vec::new(),
            said_at: Instant::now(),
        })
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Starts a new message, of pseudo-random bytes that depend on the client and on how many it
    /// has sent; so all but the shortest are unlike any other of the crowd.
    pub fn say(&mut self) -> io::Result<Progress> {
        self.sequence += 1;
        let mut state = self.number << 32 ^ self.sequence;
        for byte in &mut self.message {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            *byte = (state >> 56) as u8;
        }
        self.sent = 0;
        self.heard.clear();
        self.said_at = Instant::now();
        self.send()
    }

    /// Goes on with the message that is on its way.
    pub fn go_on(&mut self) -> io::Result<Progress> {
        let mut buffer = [0; 16 * 1024];
        match receive(&mut self.stream, &mut buffer)? {
            None => {}
            Some(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Some(count) => self.heard.extend_from_slice(&buffer[..count]),
        }
        if self.heard.len() < self.message.len() {
            return self.send();
        }
        let intact = self.heard == self.message;
        Ok(Progress::Back { round_trip: self.said_at.elapsed(), intact })
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
