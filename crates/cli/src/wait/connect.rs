//! Connects a socket without blocking.

use std::io;

use rustix::io::Errno;
use socket2::{SockAddr, Socket, Type};

/// Starts to connect. The socket is writable when the attempt has ended; then, [`finish`] tells how.
pub fn start(address: &SockAddr) -> io::Result<Socket> {
    let mut result = start_as(address, Type::STREAM);
    for kind in [Type::SEQPACKET, Type::DGRAM] {
        match result {
            Err(error) if is(&error, Errno::PROTOTYPE) => result = start_as(address, kind),
            _ => break,
        }
    }
    result
}

fn start_as(address: &SockAddr, kind: Type) -> io::Result<Socket> {
    let socket = Socket::new(address.domain(), kind, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(address) {
        Err(error) if !is(&error, Errno::INPROGRESS) => Err(error),
        _ => Ok(socket),
    }
}

/// The result of an attempt that has ended.
pub fn finish(socket: &Socket, address: &SockAddr) -> io::Result<()> {
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    // TCP's simultaneous open: a socket can connect to itself if the kernel gives it, as its local
    // port, the port that it connects to.
    if !address.is_unix() && socket.local_addr()? == socket.peer_addr()? {
        return Err(Errno::CONNREFUSED.into());
    }
    Ok(())
}

/// Whether an attempt has failed because no process accepts connections at its address, or because
/// the address can't be reached.
pub fn means_gone(error: &io::Error) -> bool {
    const GONE: [Errno; 8] = [
        Errno::CONNREFUSED,
        Errno::CONNRESET,
        Errno::HOSTUNREACH,
        Errno::NETUNREACH,
        Errno::HOSTDOWN,
        Errno::NETDOWN,
        Errno::NOENT,
        Errno::NOTDIR,
    ];
    error.kind() == io::ErrorKind::TimedOut || GONE.iter().any(|&errno| is(error, errno))
}

/// Whether an attempt has failed because this system can't use the address: it has no IPv6, a route
/// or a firewall forbids it, or the address has no meaning here.
pub fn means_unusable(error: &io::Error) -> bool {
    const UNUSABLE: [Errno; 5] =
        [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL, Errno::ACCESS, Errno::PERM, Errno::INVAL];
    UNUSABLE.iter().any(|&errno| is(error, errno))
}

pub fn is_lack_of_descriptors(error: &io::Error) -> bool {
    is(error, Errno::MFILE) || is(error, Errno::NFILE)
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}
