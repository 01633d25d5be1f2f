use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

use anyhow::Result;
use comfy_table::Table;
use pollset::{Engine, PollFlags};

use crate::bare::{self, Epoll};
use crate::crowd::Crowd;
use crate::measure::{beside, in_turn};
use crate::ours::Ours;

const IDLE: usize = 5_000;

pub fn connections() -> Result<Table> {
    let crowd = Crowd::of_sockets(IDLE, |_| false)?;
    let ours = |engine| -> io::Result<Ours> {
        let mut ours = Ours::watching(&crowd, engine, None)?;
        ours.warm_up(serve_one);
        Ok(ours)
    };
    let mut array = crowd.pollfds();
    let mut epoll = Epoll::watching(crowd.numbers())?;
    let mut left_to_close = LeftToClose(Epoll::watching(crowd.numbers())?);
    let mut auto = ours(Engine::Auto)?;
    let mut on_poll = ours(Engine::Poll)?;
    let mut on_epoll = ours(Engine::Epoll)?;

    let times = in_turn([
        &mut || serve_one(&mut array),
        &mut || serve_one(&mut epoll),
        &mut || serve_one(&mut left_to_close),
        &mut || serve_one(&mut auto),
        &mut || serve_one(&mut on_poll),
        &mut || serve_one(&mut on_epoll),
    ])
    .map(|ns| ns / 1_000.0);
    let [with_array, with_epoll, with_close, with_auto, ..] = times;
    let best = with_array.min(with_epoll).min(with_close);

    let mut table = Table::new();
    table.set_header([
        "libc::poll(-1)",
        "libc::epoll_wait(-1)",
        "the same, no EPOLL_CTL_DEL",
        "Auto",
        "Poll",
        "Epoll",
        "Auto / best libc",
    ]);
    let mut row = times.map(|us| format!("{us:.1}")).to_vec();
    row.push(beside(with_auto, best, 1));
    table.add_row(row);
    Ok(table)
}

fn serve_one(watcher: &mut impl Watcher) {
    let (mut connection, mut client) = UnixStream::pair().expect("there is room for one more");
    watcher.register(connection.as_raw_fd()).expect("it is open");
    client.write_all(b"!").expect("it is connected");
    assert_eq!(watcher.ready(), 1);
    connection.read_exact(&mut [0]).expect("it is readable");
    watcher.unregister(connection.as_raw_fd()).expect("it is registered");
}

trait Watcher {
    fn register(&mut self, fd: RawFd) -> io::Result<()>;
    /// Waits; how many are ready.
    fn ready(&mut self) -> usize;
    /// The descriptor registered last.
    fn unregister(&mut self, fd: RawFd) -> Result<()>;
}

impl Watcher for Vec<libc::pollfd> {
    fn register(&mut self, fd: RawFd) -> io::Result<()> {
        self.push(bare::pollfd(fd));
        Ok(())
    }

    fn ready(&mut self) -> usize {
        bare::poll(self, -1)
    }

    fn unregister(&mut self, _: RawFd) -> Result<()> {
        self.pop();
        Ok(())
    }
}

impl Watcher for Epoll {
    fn register(&mut self, fd: RawFd) -> io::Result<()> {
        self.add(fd)
    }

    fn ready(&mut self) -> usize {
        self.wait(-1)
    }

    fn unregister(&mut self, fd: RawFd) -> Result<()> {
        Ok(self.delete(fd)?)
    }
}

/// The kernel forgets a file that is closed, if no other number or process has it.
struct LeftToClose(Epoll);

impl Watcher for LeftToClose {
    fn register(&mut self, fd: RawFd) -> io::Result<()> {
        self.0.add(fd)
    }

    fn ready(&mut self) -> usize {
        self.0.wait(-1)
    }

    fn unregister(&mut self, _: RawFd) -> Result<()> {
        Ok(())
    }
}

impl Watcher for Ours {
    fn register(&mut self, fd: RawFd) -> io::Result<()> {
        self.set.register(fd, PollFlags::IN)
    }

    fn ready(&mut self) -> usize {
        self.wait()
    }

    fn unregister(&mut self, fd: RawFd) -> Result<()> {
        Ok(self.set.unregister(fd)?)
    }
}
