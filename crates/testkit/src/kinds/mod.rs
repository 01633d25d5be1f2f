//! Functions that open each kind of file that the tests use.

mod anonymous;
mod attached;
mod common;
mod named;
mod perf;
mod rings;
mod sockets;

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use anonymous::*;
pub use attached::*;
pub use common::*;
pub use named::*;
pub use perf::*;
pub use rings::*;
pub(crate) use rings::{toggle_bpf_ring_buffer, toggle_io_uring};
pub use sockets::*;

use crate::fd::Fd;

/// Defines [`Kind`], and `Kind::ALL` in the same order.
macro_rules! kinds {
    ($($kind:ident,)*) => {
        /// A kind of file in one state, which [`make`] opens.
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
        pub enum Kind {
            $($kind,)*
        }

        impl Kind {
            pub const ALL: [Self; [$(Self::$kind),*].len()] = [$(Self::$kind),*];
        }
    };
}

kinds! {
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
    UnconnectedTcp,
    Udp,
    RegularFile,
    Directory,
    DevNull,
    DevZero,
    Eventfd,
    FullEventfd,
    Timerfd,
    ExpiredTimerfd,
    EpollOfIdle,
    EpollOfReady,
    Inotify,
    Terminal,
    TerminalWithoutSlave,
    Closed,
    UnixDatagrams,
    FullUnixDatagrams,
    UdpWithData,
    Netlink,
    NetlinkWithData,
    PacketSocket,
    Mptcp,
    DevFull,
    DevRandom,
    DevKmsg,
    DevTun,
    DevFuse,
    ProcFile,
    SysFile,
    OPathFile,
    OPathSocket,
    InotifyWithEvent,
    Fanotify,
    Signalfd,
    Userfaultfd,
    Pidfd,
    PidfdOfEndedThread,
    SeccompOfEndedThread,
    MessageQueue,
    Memfd,
    LandlockRuleset,
    IoUring,
    BpfMap,
    BpfRingBuffer,
    UnmappedPerfEvent,
}

/// Opens a file of this kind and its peer, if it has one. The first of them is the one that `kind`
/// describes. If the system doesn't support the kind, this is an idle eventfd instead.
pub fn make(kind: Kind) -> Vec<Fd> {
    try_make(kind).unwrap_or_else(|_| vec![eventfd(0)])
}

/// The kinds that this system doesn't support, with the error.
pub fn missing() -> Vec<(Kind, io::Error)> {
    Kind::ALL.into_iter().filter_map(|kind| Some((kind, try_make(kind).err()?))).collect()
}

/// Prints the kinds that a test can't cover on this system.
pub fn report_missing() {
    for (kind, error) in missing() {
        eprintln!("not tested: {kind:?}: {error}");
    }
}

fn try_make(kind: Kind) -> io::Result<Vec<Fd>> {
    Ok(match kind {
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
        Kind::UnconnectedTcp => vec![unconnected_tcp()],
        Kind::Udp => vec![udp()],
        Kind::RegularFile => vec![regular_file()],
        Kind::Directory => vec![directory()],
        Kind::DevNull => vec![device("/dev/null")],
        Kind::DevZero => vec![device("/dev/zero")],
        Kind::Eventfd => vec![eventfd(0)],
        Kind::FullEventfd => {
            let counter = eventfd(0);
            counter.write(&(u64::MAX - 1).to_ne_bytes()).unwrap();
            vec![counter]
        }
        Kind::Timerfd => vec![timerfd(Duration::ZERO)],
        Kind::ExpiredTimerfd => vec![expired_timerfd()],
        Kind::EpollOfIdle => {
            let counter = eventfd(0);
            vec![epoll_watching(&counter), counter]
        }
        Kind::EpollOfReady => {
            let counter = eventfd(1);
            vec![epoll_watching(&counter), counter]
        }
        Kind::Inotify => vec![idle_inotify()],
        Kind::Terminal => both(terminal()),
        Kind::TerminalWithoutSlave => vec![terminal().0],
        Kind::Closed => vec![Fd::closed()],
        Kind::UnixDatagrams => both(unix_datagram_pair()),
        Kind::FullUnixDatagrams => both(full_unix_datagram_pair()),
        Kind::UdpWithData => vec![udp_with_data()],
        Kind::Netlink => vec![netlink()?],
        Kind::NetlinkWithData => vec![netlink_with_data()?],
        Kind::PacketSocket => vec![packet_socket()?],
        Kind::Mptcp => both(mptcp_pair()?),
        Kind::DevFull => vec![dev_full()?],
        Kind::DevRandom => vec![read_only("/dev/random")?],
        Kind::DevKmsg => vec![read_only("/dev/kmsg")?],
        Kind::DevTun => vec![dev_tun()?],
        Kind::DevFuse => vec![dev_fuse()?],
        Kind::ProcFile => vec![read_only("/proc/self/status")?],
        Kind::SysFile => vec![read_only("/sys/kernel/uevent_seqnum")?],
        Kind::OPathFile => vec![o_path_file()?],
        Kind::OPathSocket => vec![o_path_socket()?],
        Kind::InotifyWithEvent => vec![inotify_with_event()?],
        Kind::Fanotify => vec![fanotify()?],
        Kind::Signalfd => vec![signalfd()?],
        Kind::Userfaultfd => vec![userfaultfd()?],
        Kind::Pidfd => vec![pidfd_of_self()?],
        Kind::PidfdOfEndedThread => vec![pidfd_of_ended_thread()?],
        Kind::SeccompOfEndedThread => vec![seccomp_of_ended_thread()?],
        Kind::MessageQueue => vec![message_queue()?],
        Kind::Memfd => vec![memfd()?],
        Kind::LandlockRuleset => vec![landlock_ruleset()?],
        Kind::IoUring => vec![io_uring()?],
        Kind::BpfMap => vec![bpf_map()?],
        Kind::BpfRingBuffer => vec![bpf_ring_buffer()?],
        Kind::UnmappedPerfEvent => vec![unmapped_perf_event()?],
    })
}

fn both((one, other): (Fd, Fd)) -> Vec<Fd> {
    vec![one, other]
}
