use std::io::{ErrorKind, Read, Write, stdin};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};

use anyhow::Result;
use rustix::net::listen;

use crate::pollers::{Contestant, Poller, Trigger, Watching};

const BACKLOG: i32 = 4_096;
const MOST_EVENTS: usize = 1_024;

pub fn run(contestant: Contestant) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?.port());

    let mut watching = Watching::new(contestant, MOST_EVENTS)?;
    let end = stdin().as_raw_fd();
    watching.poller.add(end)?;
    watching.poller.add(listener.as_raw_fd())?;
    let mut connections = Connections {
        by_number: Vec::new(),
        reads_on: watching.trigger == Trigger::Edge,
        buffer: [0; 4_096],
    };
    let mut goes_on = true;
    while goes_on {
        watching.serve(None, |poller, fd| {
            if fd == end {
                goes_on = false;
                Ok(false)
            } else if fd == listener.as_raw_fd() {
                connections.accept_from(&listener, poller)?;
                Ok(true)
            } else {
                connections.echo(fd, poller)
            }
        })?;
    }
    Ok(())
}

struct Connections {
    by_number: Vec<Option<TcpStream>>,
    /// Until nothing is left.
    reads_on: bool,
    buffer: [u8; 4_096],
}

impl Connections {
    /// All that have come.
    fn accept_from(&mut self, listener: &TcpListener, poller: &mut dyn Poller) -> Result<()> {
        loop {
            match listener.accept() {
                Ok((connection, _)) => {
                    connection.set_nonblocking(true)?;
                    connection.set_nodelay(true)?;
                    let fd = connection.as_raw_fd();
                    poller.add(fd)?;
                    let index = fd as usize;
                    if index >= self.by_number.len() {
                        self.by_number.resize_with(index + 1, || None);
                    }
                    self.by_number[index] = Some(connection);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether the connection goes on.
    fn echo(&mut self, fd: RawFd, poller: &mut dyn Poller) -> Result<bool> {
        let place = &mut self.by_number[fd as usize];
        let connection = place.as_mut().expect("it is watched");
        loop {
            match connection.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(length) => {
                    connection.write_all(&self.buffer[..length])?;
                    // One that was not filled has taken all that there was.
                    if !self.reads_on || length < self.buffer.len() {
                        return Ok(true);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error.into()),
            }
        }
        poller.remove(fd)?;
        *place = None;
        Ok(false)
    }
}
