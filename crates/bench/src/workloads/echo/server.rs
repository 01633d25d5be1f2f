use std::io::{ErrorKind, Read, Write, stdin};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};

use anyhow::Result;
use rustix::net::listen;

use crate::pollers::{EventLoop, Poller, Subject, Trigger};

const BACKLOG: i32 = 4_096;
const MAX_EVENTS: usize = 1_024;

pub fn run(subject: Subject) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?.port());

    let mut event_loop = EventLoop::with_capacity(subject, MAX_EVENTS)?;
    let input = stdin().as_raw_fd();
    event_loop.poller.add(input)?;
    event_loop.poller.add(listener.as_raw_fd())?;
    let mut connections = Connections {
        by_fd: Vec::new(),
        reads_until_eagain: event_loop.trigger == Trigger::Edge,
        buffer: [0; 4_096],
    };
    let mut is_running = true;
    while is_running {
        event_loop.dispatch(None, |poller, fd| {
            if fd == input {
                is_running = false;
                Ok(false)
            } else if fd == listener.as_raw_fd() {
                connections.accept_all(&listener, poller)?;
                Ok(true)
            } else {
                connections.echo(fd, poller)
            }
        })?;
    }
    Ok(())
}

struct Connections {
    by_fd: Vec<Option<TcpStream>>,
    /// An edge-triggered poller reports a connection again only after that.
    reads_until_eagain: bool,
    buffer: [u8; 4_096],
}

impl Connections {
    /// Accepts until EAGAIN.
    fn accept_all(&mut self, listener: &TcpListener, poller: &mut dyn Poller) -> Result<()> {
        loop {
            match listener.accept() {
                Ok((connection, _)) => {
                    connection.set_nonblocking(true)?;
                    connection.set_nodelay(true)?;
                    let fd = connection.as_raw_fd();
                    poller.add(fd)?;
                    let index = fd as usize;
                    if index >= self.by_fd.len() {
                        self.by_fd.resize_with(index + 1, || None);
                    }
                    self.by_fd[index] = Some(connection);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Returns whether the connection is still open.
    fn echo(&mut self, fd: RawFd, poller: &mut dyn Poller) -> Result<bool> {
        let slot = &mut self.by_fd[fd as usize];
        let connection = slot.as_mut().expect("a watched descriptor has a connection");
        loop {
            match connection.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(length) => {
                    connection.write_all(&self.buffer[..length])?;
                    // A read that doesn't fill the buffer has emptied the socket.
                    if !self.reads_until_eagain || length < self.buffer.len() {
                        return Ok(true);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error.into()),
            }
        }
        poller.remove(fd)?;
        *slot = None;
        Ok(false)
    }
}
