//! Network interfaces and file systems that device files are attached to, in the namespaces of a
//! process of its own.

use std::ffi::{CStr, CString};
use std::fs;
use std::io::{self, Error};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::process::{getgid, getuid};

use crate::fd::Fd;

/// Moves this process to a new user namespace, in which it is root, and to those in `flags`.
pub fn unshare(flags: i32) -> io::Result<()> {
    let (user, group) = (getuid().as_raw(), getgid().as_raw());
    // SAFETY: it takes flags, and affects this process only.
    if unsafe { libc::unshare(libc::CLONE_NEWUSER | flags) } < 0 {
        return Err(Error::last_os_error());
    }
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {group} 1"))
}

const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 9, 8, 1);
const PEER_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 9, 8, 2);

fn interface() -> libc::ifreq {
    // SAFETY: it consists of integers and addresses, for which zero is valid.
    let mut interface: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, byte) in interface.ifr_name.iter_mut().zip(b"pollset0") {
        *place = *byte as libc::c_char;
    }
    interface
}

fn ioctl(file: &impl AsRawFd, request: libc::Ioctl, interface: &libc::ifreq) -> io::Result<()> {
    // SAFETY: these requests read and write the structure only, and it is not used again.
    let outcome = unsafe { libc::ioctl(file.as_raw_fd(), request, &mut interface.clone()) };
    if outcome < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}

/// Attaches `/dev/net/tun` to a new network interface, which is down.
pub fn attach_tun(tunnel: &Fd) -> io::Result<()> {
    let mut interface = interface();
    interface.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as i16;
    ioctl(tunnel, libc::TUNSETIFF, &interface)
}

/// Sets the addresses of the interface, and brings it up.
pub fn bring_up_tun() -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    let mut interface = interface();
    for (request, address) in [(libc::SIOCSIFADDR, ADDRESS), (libc::SIOCSIFDSTADDR, PEER_ADDRESS)] {
        let address = libc::sockaddr_in {
            sin_family: libc::AF_INET as u16,
            sin_port: 0,
            sin_addr: libc::in_addr { s_addr: u32::from(address).to_be() },
            sin_zero: [0; 8],
        };
        // SAFETY: both are 16 bytes of integers.
        interface.ifr_ifru.ifru_addr =
            unsafe { std::mem::transmute::<libc::sockaddr_in, libc::sockaddr>(address) };
        ioctl(&socket, request as libc::Ioctl, &interface)?;
    }
    interface.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    ioctl(&socket, libc::SIOCSIFFLAGS as libc::Ioctl, &interface)
}

/// Sends a datagram, which can then be read from `/dev/net/tun`.
pub fn send_through_tun() -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.send_to(b"data", (PEER_ADDRESS, 9))?;
    Ok(())
}

/// A mounted file system. Dropping it unmounts the file system.
pub struct Mount(CString);

impl Mount {
    /// A tmpfs.
    pub fn of_memory(on: &Path) -> io::Result<Self> {
        Self::new(c"tmpfs", on, c"")
    }

    /// A FUSE file system served by `server`, an open `/dev/fuse`.
    pub fn of_server(on: &Path, server: BorrowedFd<'_>) -> io::Result<Self> {
        let number = server.as_raw_fd();
        let options = format!("fd={number},rootmode=40000,user_id=0,group_id=0");
        Self::new(c"fuse", on, &CString::new(options)?)
    }

    fn new(kind: &CStr, on: &Path, options: &CStr) -> io::Result<Self> {
        let on = CString::new(on.as_os_str().as_bytes())?;
        let [source, target, kind, options] = [kind, &on, kind, options].map(CStr::as_ptr);
        // SAFETY: all strings end with a zero, and are read before this returns.
        let outcome = unsafe { libc::mount(source, target, kind, 0, options.cast()) };
        if outcome < 0 { Err(Error::last_os_error()) } else { Ok(Self(on)) }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // SAFETY: the string ends with a zero.
        unsafe { libc::umount2(self.0.as_ptr(), libc::MNT_DETACH) };
    }
}
