//! A client that checks the echo of everything that it has sent.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::LazyLock;
use std::time::Duration;

use rustix::net::sockopt::{
    set_socket_linger, set_socket_recv_buffer_size, set_socket_send_buffer_size,
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};

use crate::util::Server;

/// The size of each of the kernel's two buffers for the client's socket.
const SOCKET_BUFFER: usize = 64 * 1024;
/// The most that these buffers hold: the kernel doubles the size, and accepts one more segment.
pub const MAX_BUFFERED: usize = 2 * (2 * SOCKET_BUFFER + 64 * 1024);

/// Two periods of pseudo-random bytes. Every client sends them repeatedly, from an offset of its
/// own.
static PATTERN: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state: u64 = 1;
    let mut next_byte = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 56) as u8
    };
    let period: Vec<u8> = (0..PERIOD).map(|_| next_byte()).collect();
    [period.clone(), period].concat()
});
const PERIOD: usize = 65_521;

pub struct Client {
    pub stream: TcpStream,
    offset: usize,
    pub sent: usize,
    pub received: usize,
}

impl Client {
    pub fn connect(server: &Server, number: usize) -> Self {
        Self::connect_with_window(server, number, SOCKET_BUFFER)
    }

    /// `window` is the size of the receive buffer, and so the TCP window. If it is less than a
    /// segment, the receiving kernel may send no window update when there is room again. Then the
    /// sender only probes the window, at longer and longer intervals: such a client may not receive
    /// everything within the time of a test.
    pub fn connect_with_window(server: &Server, number: usize, window: usize) -> Self {
        let SocketAddr::V4(address) = server.address else { unreachable!() };
        let socket =
            socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)
                .unwrap();
        set_socket_recv_buffer_size(&socket, window).unwrap();
        set_socket_send_buffer_size(&socket, SOCKET_BUFFER).unwrap();
        connect(&socket, &address).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_nonblocking(true).unwrap();
        Self { stream, offset: number * 7919, sent: 0, received: 0 }
    }

    pub fn connect_many(server: &Server, count: usize) -> Vec<Self> {
        (0..count).map(|number| Self::connect(server, number)).collect()
    }

    /// Sends up to `count` bytes without blocking. Returns the number of bytes sent.
    pub fn send(&mut self, count: usize) -> usize {
        let start = (self.offset + self.sent) % PERIOD;
        let count = count.min(PERIOD);
        match self.stream.write(&PATTERN[start..start + count]) {
            Ok(count) => {
                self.sent += count;
                count
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => panic!("{error}"),
        }
    }

    /// Receives up to `count` bytes without blocking.
    pub fn receive(&mut self, count: usize) {
        let mut buffer = [0; PERIOD];
        match self.stream.read(&mut buffer[..count.min(PERIOD)]) {
            Ok(0) => panic!("the server has closed the connection"),
            Ok(count) => {
                let start = (self.offset + self.received) % PERIOD;
                assert!(buffer[..count] == PATTERN[start..start + count], "the echo differs");
                self.received += count;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// Waits for the echo of everything sent.
    pub fn receive_all(&mut self) {
        self.stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        self.stream.set_nonblocking(false).unwrap();
        while self.received < self.sent {
            let received = self.received;
            self.receive(PERIOD);
            assert!(self.received > received, "{} of {} bytes came back", self.received, self.sent);
        }
        self.stream.set_nonblocking(true).unwrap();
    }

    pub fn receives_end(&mut self) -> bool {
        self.stream.set_nonblocking(false).unwrap();
        matches!(self.stream.read(&mut [0]), Ok(0))
    }

    pub fn reset_on_close(&self) {
        set_socket_linger(&self.stream, Some(Duration::ZERO)).unwrap();
    }
}
