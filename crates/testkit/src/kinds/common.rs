//! Common kinds: pipes, sockets, files, eventfd, timerfd, epoll, inotify, terminals.

use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use pollset::PollFlags;
use rustix::event::{EventfdFlags, epoll};
use rustix::fs::OFlags;
use rustix::fs::inotify;
use rustix::net::SendFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use crate::fd::Fd;
use crate::oracle::wait_for_revents;

/// The reading end, and the writing end.
pub fn pipe() -> (Fd, Fd) {
    let (reader, writer) = std::io::pipe().unwrap();
    (Fd::new(reader), Fd::new(writer))
}

pub fn socket_pair() -> (Fd, Fd) {
    let (one, other) = UnixStream::pair().unwrap();
    (Fd::new(one), Fd::new(other))
}

/// The accepted end, and the connecting one.
pub fn tcp_pair() -> (Fd, Fd) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    (Fd::new(server), Fd::new(client))
}

/// As [`tcp_pair`], with urgent data to read at the first end.
pub fn tcp_pair_with_urgent_data() -> (Fd, Fd) {
    let (server, client) = tcp_pair();
    rustix::net::send(&client, b"!", SendFlags::OOB).unwrap();
    wait_for_revents(&server, PollFlags::PRI, PollFlags::PRI);
    (server, client)
}

/// A listening socket, and a client that has connected to it.
pub fn listener_with_client() -> (Fd, Fd) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (Fd::new(listener), Fd::new(client))
}

pub fn listener() -> Fd {
    Fd::new(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
}

/// A TCP socket that was never connected: hung up.
pub fn unconnected_tcp() -> Fd {
    use rustix::net::{AddressFamily, SocketType, socket};
    Fd::new(socket(AddressFamily::INET, SocketType::STREAM, None).unwrap())
}

pub fn udp() -> Fd {
    Fd::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
}

pub fn regular_file() -> Fd {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"text").unwrap();
    Fd::new(file)
}

pub fn directory() -> Fd {
    Fd::new(File::open("/").unwrap())
}

pub fn device(path: &str) -> Fd {
    Fd::new(File::options().read(true).write(true).open(path).unwrap())
}

/// An eventfd, readable if `count` is not 0.
pub fn eventfd(count: u32) -> Fd {
    Fd::new(rustix::event::eventfd(count, EventfdFlags::CLOEXEC).unwrap())
}

/// A timerfd that expires after `delay`, or never if that is zero.
pub fn timerfd(delay: Duration) -> Fd {
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC).unwrap();
    let at = Itimerspec { it_interval: Timespec::default(), it_value: delay.try_into().unwrap() };
    timerfd_settime(&timer, TimerfdTimerFlags::empty(), &at).unwrap();
    Fd::new(timer)
}

pub fn expired_timerfd() -> Fd {
    let timer = timerfd(Duration::from_nanos(1));
    wait_for_revents(&timer, PollFlags::IN, PollFlags::IN);
    timer
}

/// An epoll instance with an entry for `fd`.
pub fn epoll_watching(fd: &Fd) -> Fd {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    epoll::add(&epoll, fd, epoll::EventData::new_u64(0), epoll::EventFlags::IN).unwrap();
    Fd::new(epoll)
}

/// An inotify descriptor. The kernel limits their number per user;
/// beyond the limit, this is an eventfd.
pub fn idle_inotify() -> Fd {
    inotify::init(inotify::CreateFlags::CLOEXEC).map_or_else(|_| eventfd(0), Fd::new)
}

/// The master and the slave of a pseudoterminal.
pub fn terminal() -> (Fd, Fd) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let path = ptsname(&master, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let slave = rustix::fs::open(path, flags, rustix::fs::Mode::empty()).unwrap();
    (Fd::new(master), Fd::new(slave))
}

/// Shuts down the writing half of a connected socket. Does nothing to other files.
pub fn shut_down_writing(fd: &Fd) {
    let _ = rustix::net::shutdown(fd, rustix::net::Shutdown::Write);
}
