//! A server and its clients: two processes for each subject.

mod clients;
mod process;
mod protocol;
mod server;

use anyhow::Result;
use clap::{Subcommand, ValueEnum};

use self::process::Process;
use self::protocol::{ACTIVE_CLIENTS, RoundStats};
use crate::measure::{Round, Run};
use crate::pollers::{FD_SETSIZE, Subject};
use crate::report::{Chart, Unit};

const ROUNDS: usize = 15;

/// The programs of the two processes.
#[derive(Clone, Subcommand)]
pub enum Role {
    /// Prints its port. Ends when its standard input ends.
    Server { subject: Subject },
    /// Prints a line when all clients are connected. Then runs a round for each line of its standard
    /// input, and prints the statistics of the round.
    Clients { port: u16, idle: usize },
}

impl Role {
    pub fn run(self) -> Result<()> {
        match self {
            Self::Server { subject } => server::run(subject),
            Self::Clients { port, idle } => clients::run(port, idle),
        }
    }
}

pub fn measure(run: &Run) -> Result<Vec<Chart>> {
    let chart = |name, statistic: &str, y, unit| {
        Chart::new(name, &format!("TCP echo: {statistic}"), "idle connections", y, unit)
    };
    let mut charts = [
        chart("echo", "100 active clients", "messages", Unit::PerSecond),
        chart("echo-processor", "CPU time of the server", "message", Unit::Nanoseconds),
        chart("echo-median", "median round trip", "round trip", Unit::Nanoseconds),
        chart("echo-percentile-99", "99th percentile round trip", "round trip", Unit::Nanoseconds),
    ];
    let sizes = run.sizes(&[0, 100, 1_000, 9_000]);
    let rounds = if run.quick { 3 } else { ROUNDS };
    run.set_length(sizes.len(), rounds);
    for idle in sizes {
        let fits = |subject: &Subject| {
            *subject != Subject::Select || idle + 2 * ACTIVE_CLIENTS < FD_SETSIZE as usize
        };
        let subjects: Vec<_> = Subject::ALL.into_iter().filter(fits).collect();
        let mut measured: Vec<Round<[f64; 4]>> = Vec::new();
        for &subject in &subjects {
            let mut echo = Echo::start(subject, idle)?;
            echo.round()?; // pollset settles on an engine
            measured.push(Box::new(move || echo.round()));
        }
        run.add_points_to_all(&mut charts, idle, &subjects, rounds, &mut measured)?;
    }
    Ok(charts.into())
}

struct Echo {
    server: Process,
    clients: Process,
}

impl Echo {
    fn start(subject: Subject, idle: usize) -> Result<Self> {
        let value = subject.to_possible_value().expect("no subject is hidden");
        let mut server = Process::start(&["server", value.get_name()])?;
        let port = server.read_line()?;
        let mut clients = Process::start(&["clients", &port, &idle.to_string()])?;
        clients.read_line()?;
        Ok(Self { server, clients })
    }

    /// Messages per second; then, in nanoseconds, the CPU time of the server per message, and the
    /// median and the 99th percentile of the round trips.
    fn round(&mut self) -> Result<[f64; 4]> {
        let before = self.server.cpu_time()?;
        self.clients.write_line()?;
        let stats: RoundStats = serde_json::from_str(&self.clients.read_line()?)?;
        let cpu_time = self.server.cpu_time()? - before;
        let messages = stats.messages as f64;
        let per_second = messages / stats.duration * 1e9;
        Ok([per_second, cpu_time / messages, stats.median, stats.percentile_99])
    }
}
