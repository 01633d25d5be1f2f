//! `pollset serve --listen`: serves all clients until a signal.

use std::io::{ErrorKind, Read};
use std::time::{Duration, Instant};

use anyhow::Result;
use pollset::Engine;

use super::fd_limit;
use super::server::Server;
use super::signals::stop_signals;
use super::status_line::{StatusLine, UPDATE_INTERVAL};
use super::summary;
use crate::output;
use crate::usage_error::UsageError;

/// The time that clients have, after the signal, to receive the unsent bytes.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Returns whether the summary could be printed.
pub fn run(address: &str, engine: Option<Engine>) -> Result<bool> {
    let max_clients = fd_limit::raise_to_maximum()?;
    let mut server = Server::bind(address, engine).map_err(|error| match error.kind() {
        ErrorKind::InvalidInput => {
            UsageError(format!("{address} is not an address such as 127.0.0.1:7007")).into()
        }
        _ => anyhow::Error::new(error).context(format!("can't listen on {address}")),
    })?;
    let mut stop = stop_signals()?;
    server.watch(&stop)?;
    let address = server.address()?;
    output::print(&format!("listening on {address}, room for {max_clients} clients\n"));

    let mut status = StatusLine::new();
    let mut has_warned = false;
    while server.turn(Instant::now() + UPDATE_INTERVAL)?.is_empty() {
        status.show_server(server.clients(), server.counts.echoed_bytes);
        if let Some(error) = &server.accept_error
            && !has_warned
        {
            status.print(&format!("can't accept another client ({error}): new ones have to wait"));
            has_warned = true;
        }
    }
    drop(status);

    server.shut_down()?;
    // Leaves only the byte of a second signal, which ends the loop.
    stop.read_exact(&mut [0])?;
    let deadline = Instant::now() + DRAIN_TIMEOUT;
    while server.clients() > 0 && Instant::now() < deadline && server.turn(deadline)?.is_empty() {}
    Ok(output::print(&summary::of_server(&server.counts, &server.stats())))
}
