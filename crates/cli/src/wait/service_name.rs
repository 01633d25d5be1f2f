//! Looks up the ports that have names, such as http.

use std::io;

use dns_lookup::{AddrInfoHints, SockType, getaddrinfo};

/// The TCP port of a service: usually that of /etc/services.
pub fn port(service: &str) -> io::Result<u16> {
    let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    let mut addresses = getaddrinfo(None, Some(service), Some(hints))?;
    let first = addresses.next().ok_or(io::ErrorKind::NotFound)??;
    Ok(first.sockaddr.port())
}
