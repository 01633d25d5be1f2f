//! A client that knows what it has sent, and checks what comes back.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::LazyLock;
use std::time::Duration;

use rustix::net::sockopt::{
    set_socket_linger, set_socket_recv_buffer_size, set_socket_send_buffer_size,
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};

use crate::util::Server;

/// The size of each of the system's buffers at the client's own end.
const BUFFER: usize = 64 * 1024;
/// What the system holds there at most: it doubles the size, and takes a whole segment more.
pub const CLIENT_BUFFERS: usize = 2 * (2 * BUFFER + 64 * 1024);

/// Every client sends this again and again, each from a place of its own.
static SONG: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state: u64 = 1;
    let mut verse = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 56) as u8
    };
    let once: Vec<u8> = (0..LENGTH).map(|_| verse()).collect();
    [once.clone(), once].concat()
});
const LENGTH: usize = 65_521;

pub struct Client {
    pub stream: TcpStream,
    starts_at: usize,
    pub sent: usize,
    pub heard: usize,
}

impl Client {
    pub fn connect(server: &Server, number: usize) -> Self {
        Self::connect_with_window(server, number, BUFFER)
    }

    /// `window`: how much may be under way to the client. If it is less than a segment, the system
    /// at the client's end may forget to tell when there is room again, and then it is only asked
    /// at longer and longer intervals; so such a client can't count on ever hearing everything.
    pub fn connect_with_window(server: &Server, number: usize, window: usize) -> Self {
        let SocketAddr::V4(address) = server.address else { unreachable!() };
        let socket =
            socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)
                .unwrap();
        set_socket_recv_buffer_size(&socket, window).unwrap();
        set_socket_send_buffer_size(&socket, BUFFER).unwrap();
        connect(&socket, &address).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_nonblocking(true).unwrap();
        Self { stream, starts_at: number * 7919, sent: 0, heard: 0 }
    }

    pub fn connect_many(server: &Server, count: usize) -> Vec<Self> {
        (0..count).map(|number| Self::connect(server, number)).collect()
    }

    /// Sends as many of `count` bytes as that is possible without waiting.
    pub fn say(&mut self, count: usize) -> usize {
        let start = (self.starts_at + self.sent) % LENGTH;
        let count = count.min(LENGTH);
        match self.stream.write(&SONG[start..start + count]) {
            Ok(count) => {
                self.sent += count;
                count
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => panic!("{error}"),
        }
    }

    /// Hears up to `count` bytes without waiting.
    pub fn hear(&mut self, count: usize) {
        let mut buffer = [0; LENGTH];
        match self.stream.read(&mut buffer[..count.min(LENGTH)]) {
            Ok(0) => panic!("the server has gone"),
            Ok(count) => {
                let start = (self.starts_at + self.heard) % LENGTH;
                assert!(buffer[..count] == SONG[start..start + count], "it was changed");
                self.heard += count;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// Waits until all that it has sent is back.
    pub fn hear_all(&mut self) {
        self.stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        self.stream.set_nonblocking(false).unwrap();
        while self.heard < self.sent {
            let heard = self.heard;
            self.hear(LENGTH);
            assert!(self.heard > heard, "{} of {} bytes came back", self.heard, self.sent);
        }
        self.stream.set_nonblocking(true).unwrap();
    }

    pub fn hears_the_end(&mut self) -> bool {
        self.stream.set_nonblocking(false).unwrap();
        matches!(self.stream.read(&mut [0]), Ok(0))
    }

    pub fn reset_on_close(&self) {
        set_socket_linger(&self.stream, Some(Duration::ZERO)).unwrap();
    }
}
