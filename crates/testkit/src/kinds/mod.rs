//! Makers of every kind of descriptor that the tests use.

mod anonymous;
mod attached;
mod common;
mod named;
mod record;
mod rings;
mod sockets;

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use anonymous::*;
pub use attached::*;
pub use common::*;
pub use named::*;
pub use record::*;
pub use rings::*;
pub(crate) use rings::{turn_kernel_ring, turn_ring};
pub use sockets::*;

use crate::fd::Fd;

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
    Datagrams,
    FullDatagrams,
    UdpWithData,
    Netlink,
    NetlinkWithData,
    Packets,
    Multipath,
    FullDevice,
    Random,
    KernelLog,
    Tunnel,
    FileServer,
    ProcFile,
    SysFile,
    PathOfFile,
    PathOfSocket,
    FileWatchWithEvent,
    FilesystemWatch,
    Signals,
    PageFaults,
    Process,
    EndedThread,
    FilterOfEndedThread,
    MessageQueue,
    Memory,
    Ruleset,
    Ring,
    KernelTable,
    KernelRing,
    RecordWithoutMemory,
}

impl Kind {
    pub const ALL: [Self; 58] = [
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
        Self::Datagrams,
        Self::FullDatagrams,
        Self::UdpWithData,
        Self::Netlink,
        Self::NetlinkWithData,
        Self::Packets,
        Self::Multipath,
        Self::FullDevice,
        Self::Random,
        Self::KernelLog,
        Self::Tunnel,
        Self::FileServer,
        Self::ProcFile,
        Self::SysFile,
        Self::PathOfFile,
        Self::PathOfSocket,
        Self::FileWatchWithEvent,
        Self::FilesystemWatch,
        Self::Signals,
        Self::PageFaults,
        Self::Process,
        Self::EndedThread,
        Self::FilterOfEndedThread,
        Self::MessageQueue,
        Self::Memory,
        Self::Ruleset,
        Self::Ring,
        Self::KernelTable,
        Self::KernelRing,
        Self::RecordWithoutMemory,
    ];
}

/// All the ends that belong together, the most telling one first. Where a kind is not to be had, an
/// event counter stands for it.
pub fn make(kind: Kind) -> Vec<Fd> {
    try_make(kind).unwrap_or_else(|_| vec![event_counter(0)])
}

/// The kinds that this machine doesn't make, and why.
pub fn missing() -> Vec<(Kind, io::Error)> {
    Kind::ALL.into_iter().filter_map(|kind| Some((kind, try_make(kind).err()?))).collect()
}

/// Says which kinds a test leaves out.
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
        Kind::Datagrams => both(datagram_pair()),
        Kind::FullDatagrams => both(full_datagram_pair()),
        Kind::UdpWithData => vec![udp_with_data()],
        Kind::Netlink => vec![netlink()?],
        Kind::NetlinkWithData => vec![netlink_with_data()?],
        Kind::Packets => vec![packets()?],
        Kind::Multipath => both(multipath_pair()?),
        Kind::FullDevice => vec![full_device()?],
        Kind::Random => vec![to_read("/dev/random")?],
        Kind::KernelLog => vec![to_read("/dev/kmsg")?],
        Kind::Tunnel => vec![tunnel()?],
        Kind::FileServer => vec![file_server()?],
        Kind::ProcFile => vec![to_read("/proc/self/status")?],
        Kind::SysFile => vec![to_read("/sys/kernel/uevent_seqnum")?],
        Kind::PathOfFile => vec![path_of_file()?],
        Kind::PathOfSocket => vec![path_of_socket()?],
        Kind::FileWatchWithEvent => vec![file_watch_with_event()?],
        Kind::FilesystemWatch => vec![filesystem_watch()?],
        Kind::Signals => vec![signals()?],
        Kind::PageFaults => vec![page_faults()?],
        Kind::Process => vec![process()?],
        Kind::EndedThread => vec![ended_thread()?],
        Kind::FilterOfEndedThread => vec![filter_of_ended_thread()?],
        Kind::MessageQueue => vec![message_queue()?],
        Kind::Memory => vec![memory()?],
        Kind::Ruleset => vec![ruleset()?],
        Kind::Ring => vec![ring()?],
        Kind::KernelTable => vec![kernel_table()?],
        Kind::KernelRing => vec![kernel_ring()?],
        Kind::RecordWithoutMemory => vec![record_without_memory()?],
    })
}

fn both((one, other): (Fd, Fd)) -> Vec<Fd> {
    vec![one, other]
}
