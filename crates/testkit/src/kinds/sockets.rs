//! Less common sockets, and sockets in less common states.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;

use pollset::PollFlags;
use rustix::net::{
    AddressFamily, Protocol, SocketAddrUnix, SocketFlags, SocketType, accept, bind, connect,
    getsockname, ipproto, listen, socket_with,
};

use super::udp;
use crate::fd::Fd;
use crate::oracle::wait_for_revents;

fn socket(
    family: AddressFamily,
    kind: SocketType,
    protocol: Option<Protocol>,
) -> io::Result<OwnedFd> {
    Ok(socket_with(family, kind, SocketFlags::CLOEXEC, protocol)?)
}

pub fn unix_datagram_pair() -> (Fd, Fd) {
    let (one, other) = UnixDatagram::pair().unwrap();
    (Fd::new(one), Fd::new(other))
}

/// A Unix datagram socket that has no room to send, and its peer: not connected, with a full queue.
pub fn full_unix_datagram_pair() -> (Fd, Fd) {
    let [sender, receiver] = [(); 2].map(|()| {
        let socket = socket(AddressFamily::UNIX, SocketType::DGRAM, None).unwrap();
        bind(&socket, &SocketAddrUnix::new_unnamed()).unwrap();
        Fd::new(socket)
    });
    connect(&sender, &getsockname(&receiver).unwrap()).unwrap();
    while sender.write(b"data").is_ok() {}
    (sender, receiver)
}

pub fn udp_with_data() -> Fd {
    let receiver = udp();
    let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let to: SocketAddrV4 = getsockname(&receiver).unwrap().try_into().unwrap();
    sender.send_to(b"data", to).unwrap();
    wait_for_revents(&receiver, PollFlags::IN, PollFlags::IN);
    receiver
}

pub fn netlink() -> io::Result<Fd> {
    Ok(Fd::new(socket(AddressFamily::NETLINK, SocketType::RAW, None)?))
}

/// A netlink socket with the list of network interfaces to read.
pub fn netlink_with_data() -> io::Result<Fd> {
    const GET_LINKS: u16 = 18;
    const REQUEST: u16 = 0x301;
    let socket = socket(AddressFamily::NETLINK, SocketType::RAW, None)?;
    let mut request = [0; 32];
    request[..4].copy_from_slice(&32_u32.to_ne_bytes());
    request[4..6].copy_from_slice(&GET_LINKS.to_ne_bytes());
    request[6..8].copy_from_slice(&REQUEST.to_ne_bytes());
    // Before it is duplicated: QEMU swaps the bytes of requests for the first number alone.
    rustix::io::write(&socket, &request)?;
    let fd = Fd::new(socket);
    wait_for_revents(&fd, PollFlags::IN, PollFlags::IN);
    Ok(fd)
}

/// A packet socket bound to no protocol, so that it receives nothing.
pub fn packet_socket() -> io::Result<Fd> {
    Ok(Fd::new(socket(AddressFamily::PACKET, SocketType::DGRAM, None)?))
}

/// Two MPTCP sockets: the accepted end, and the connecting one.
pub fn mptcp_pair() -> io::Result<(Fd, Fd)> {
    let new = || socket(AddressFamily::INET, SocketType::STREAM, Some(ipproto::MPTCP));
    let (listener, client) = (new()?, new()?);
    bind(&listener, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
    listen(&listener, 1)?;
    connect(&client, &getsockname(&listener)?)?;
    let server = accept(&listener)?;
    Ok((Fd::new(server), Fd::new(client)))
}
