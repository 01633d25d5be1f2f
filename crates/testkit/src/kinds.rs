//! Makers of every kind of descriptor that the tests use.

use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use pollset::PollFlags;
use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::fs::OFlags;
use rustix::fs::inotify;
use rustix::net::SendFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use serde::{Deserialize, Serialize};

use super::fd::Fd;
use super::oracle::until_kernel_reports;

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

/// A pair of which the first end has urgent data to read.
pub fn tcp_pair_with_urgent_data() -> (Fd, Fd) {
    let (server, client) = tcp_pair();
    rustix::net::send(&client, b"!", SendFlags::OOB).unwrap();
    until_kernel_reports(&server, PollFlags::PRI, PollFlags::PRI);
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

/// A stream socket that was never connected: hung up from the start.
pub fn unconnected() -> Fd {
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

/// Ready to read if `count` is not 0.
pub fn event_counter(count: u32) -> Fd {
    Fd::new(eventfd(count, EventfdFlags::CLOEXEC).unwrap())
}

/// One that expires after `delay`; never, if that is zero.
pub fn timer(delay: Duration) -> Fd {
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC).unwrap();
    let at = Itimerspec { it_interval: Timespec::default(), it_value: delay.try_into().unwrap() };
    timerfd_settime(&timer, TimerfdTimerFlags::empty(), &at).unwrap();
    Fd::new(timer)
}

pub fn expired_timer() -> Fd {
    let timer = timer(Duration::from_nanos(1));
    until_kernel_reports(&timer, PollFlags::IN, PollFlags::IN);
    timer
}

/// An epoll descriptor that watches `fd`.
pub fn epoll_watching(fd: &Fd) -> Fd {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    epoll::add(&epoll, fd, epoll::EventData::new_u64(0), epoll::EventFlags::IN).unwrap();
    Fd::new(epoll)
}

/// A user may have few of them; then it is another kind.
pub fn file_watch() -> Fd {
    inotify::init(inotify::CreateFlags::CLOEXEC).map_or_else(|_| event_counter(0), Fd::new)
}

/// The two sides of a pseudoterminal.
pub fn terminal() -> (Fd, Fd) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let path = ptsname(&master, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let slave = rustix::fs::open(path, flags, rustix::fs::Mode::empty()).unwrap();
    (Fd::new(master), Fd::new(slave))
}

/// What [`make`] can make: one kind of file, in one state.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Kind {
    Pipe,
    PipeWithData,
    FullPipe,
    PipeWithoutWriter,
    PipeWithoutReader,
    SocketPair,
    SocketWithoutPeer,
    SocketShutDown,
    Tcp,
    TcpWithUrgentData,
    Listener,
    ListenerWithClient,
    Unconnected,
    Udp,
    RegularFile,
    Directory,
    Null,
    Zero,
    EventCounter,
    FullEventCounter,
    Timer,
    ExpiredTimer,
    EpollOfIdle,
    EpollOfReady,
    FileWatch,
    Terminal,
    TerminalWithoutSlave,
    Closed,
}

impl Kind {
    pub const ALL: [Self; 28] = [
        Self::Pipe,
        Self::PipeWithData,
        Self::FullPipe,
        Self::PipeWithoutWriter,
        Self::PipeWithoutReader,
        Self::SocketPair,
        Self::SocketWithoutPeer,
        Self::SocketShutDown,
        Self::Tcp,
        Self::TcpWithUrgentData,
        Self::Listener,
        Self::ListenerWithClient,
        Self::Unconnected,
        Self::Udp,
        Self::RegularFile,
        Self::Directory,
        Self::Null,
        Self::Zero,
        Self::EventCounter,
        Self::FullEventCounter,
        Self::Timer,
        Self::ExpiredTimer,
        Self::EpollOfIdle,
        Self::EpollOfReady,
        Self::FileWatch,
        Self::Terminal,
        Self::TerminalWithoutSlave,
        Self::Closed,
    ];
}

/// All the ends that belong together, the most telling one first.
pub fn make(kind: Kind) -> Vec<Fd> {
    match kind {
        Kind::Pipe => both(pipe()),
        Kind::PipeWithData => {
            let (reader, writer) = pipe();
            writer.write(b"data").unwrap();
            vec![reader, writer]
        }
        Kind::FullPipe => {
            let (reader, writer) = pipe();
            writer.write_until_full();
            vec![writer, reader]
        }
        Kind::PipeWithoutWriter => vec![pipe().0],
        Kind::PipeWithoutReader => vec![pipe().1],
        Kind::SocketPair => both(socket_pair()),
        Kind::SocketWithoutPeer => vec![socket_pair().0],
        Kind::SocketShutDown => {
            let (one, other) = socket_pair();
            shut_down_writing(&other);
            vec![one, other]
        }
        Kind::Tcp => both(tcp_pair()),
        Kind::TcpWithUrgentData => both(tcp_pair_with_urgent_data()),
        Kind::Listener => vec![listener()],
        Kind::ListenerWithClient => both(listener_with_client()),
        Kind::Unconnected => vec![unconnected()],
        Kind::Udp => vec![udp()],
        Kind::RegularFile => vec![regular_file()],
        Kind::Directory => vec![directory()],
        Kind::Null => vec![device("/dev/null")],
        Kind::Zero => vec![device("/dev/zero")],
        Kind::EventCounter => vec![event_counter(0)],
        Kind::FullEventCounter => {
            let counter = event_counter(0);
            counter.write(&(u64::MAX - 1).to_ne_bytes()).unwrap();
            vec![counter]
        }
        Kind::Timer => vec![timer(Duration::ZERO)],
        Kind::ExpiredTimer => vec![expired_timer()],
        Kind::EpollOfIdle => {
            let counter = event_counter(0);
            vec![epoll_watching(&counter), counter]
        }
        Kind::EpollOfReady => {
            let counter = event_counter(1);
            vec![epoll_watching(&counter), counter]
        }
        Kind::FileWatch => vec![file_watch()],
        Kind::Terminal => both(terminal()),
        Kind::TerminalWithoutSlave => vec![terminal().0],
        Kind::Closed => vec![Fd::closed()],
    }
}

fn both((one, other): (Fd, Fd)) -> Vec<Fd> {
    vec![one, other]
}

/// Does nothing if it is not a connected socket.
pub fn shut_down_writing(fd: &Fd) {
    let _ = rustix::net::shutdown(fd, rustix::net::Shutdown::Write);
}
