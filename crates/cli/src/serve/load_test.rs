//! `pollset serve` without `--listen`: serves the clients of a load generator, and prints the
//! results.

use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::time::Instant;

use anyhow::{Context, Result};
use pollset::Engine;

use super::fd_limit;
use super::load::Workload;
use super::load_process::LoadProcess;
use super::report::Report;
use super::server::Server;
use super::signals::stop_signals;
use super::status_line::{StatusLine, UPDATE_INTERVAL};
use super::summary;
use crate::output;

/// Returns whether every message came back and the summary could be printed.
pub fn run(workload: &Workload, engine: Option<Engine>) -> Result<bool> {
    fd_limit::raise_for(workload.clients)?;
    let mut server = Server::bind((Ipv4Addr::LOCALHOST, 0), engine).context("can't listen")?;
    let stop = stop_signals()?;
    server.watch(&stop)?;
    let mut load = LoadProcess::start(server.address()?, workload)?;
    server.watch(&load)?;

    let mut status = StatusLine::new();
    loop {
        let ready = server.turn(Instant::now() + UPDATE_INTERVAL)?;
        if ready.contains(&stop.as_raw_fd()) {
            status.print("stopped before the end");
            return Ok(false);
        }
        if !ready.contains(&load.as_raw_fd()) {
            continue;
        }
        let Some(reports) = load.read_reports()? else {
            status.print("the load generator ended early");
            return Ok(false);
        };
        for report in reports {
            if let Report::Done(totals) = report {
                drop(status);
                let summary = summary::of_clients(&totals, workload.clients, workload.active)
                    + &summary::of_server(&server.counts, &server.stats());
                return Ok(output::print(&summary) && totals.is_success());
            }
            status.show_report(&report, workload.clients);
        }
    }
}
