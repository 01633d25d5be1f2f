//! getaddrinfo(3): the addresses of a host, and the port of a service.

use std::io;
use std::net::SocketAddr;

use dns_lookup::{AddrInfoHints, LookupErrorKind, SockType, getaddrinfo};

/// What the crate puts before the text of gai_strerror(3).
const PREFIX: &str = "failed to lookup address information: ";

#[derive(Debug)]
pub struct LookupError {
    pub message: String,
    /// Whether the answer was that the name has no address.
    pub is_final: bool,
}

/// The addresses of a host, with port 0.
pub fn addresses(host: &str) -> Result<Vec<SocketAddr>, LookupError> {
    look_up(Some(host), None)
}

/// The TCP port of a service: usually that of /etc/services.
pub fn port(service: &str) -> Result<u16, LookupError> {
    let addresses = look_up(None, Some(service))?;
    let first = addresses.first().map(SocketAddr::port);
    first.ok_or(LookupError { message: "it has no port".to_owned(), is_final: true })
}

fn look_up(host: Option<&str>, service: Option<&str>) -> Result<Vec<SocketAddr>, LookupError> {
    let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    let found = getaddrinfo(host, service, Some(hints)).map_err(|error| LookupError {
        is_final: matches!(error.kind(), LookupErrorKind::NoName | LookupErrorKind::NoData),
        message: io::Error::from(error).to_string().replace(PREFIX, ""),
    })?;
    Ok(found.flatten().map(|info| info.sockaddr).collect())
}
