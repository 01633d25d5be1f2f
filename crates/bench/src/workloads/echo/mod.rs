//! A server and its clients: two processes for each subject.

mod affinity;
mod clients;
mod process;
mod programs;
mod protocol;
mod server;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Subcommand, ValueEnum};

use self::affinity::pin_to;
use self::process::Process;
pub use self::programs::measure as measure_programs;
use self::protocol::RoundStats;
use crate::measure::{Round, Run};
use crate::pollers::{FD_SETSIZE, Subject};
use crate::report::{Chart, Kind, Unit};

const ROUNDS: usize = 13;
/// The numbers of idle clients.
const SIZES: [usize; 4] = [0, 100, 1_000, 9_000];

/// The programs of the two processes.
#[derive(Clone, Subcommand)]
pub enum Role {
    /// Prints its port. Ends when its standard input ends.
    Server { subject: Subject },
    /// The same, without a subject: the example in Rust.
    Example,
    /// Becomes that program.
    Program { path: PathBuf },
    /// Prints a line when all clients are connected. Then runs a round for each line of its standard
    /// input, which is the duration in milliseconds, and prints the statistics of the round.
    Clients { port: u16, idle: usize, active: usize },
}

impl Role {
    pub fn run(self) -> Result<()> {
        match self {
            Self::Server { subject } => {
                pin_to(0)?;
                server::run(subject)
            }
            Self::Example => {
                pin_to(0)?;
                programs::run_example()
            }
            Self::Program { path } => {
                pin_to(0)?;
                programs::become_program(&path)
            }
            Self::Clients { port, idle, active } => {
                pin_to(1)?;
                clients::run(port, idle, active)
            }
        }
    }
}

/// A server under comparison.
struct Server {
    name: &'static str,
    kind: Kind,
    /// The arguments of its [`Role`].
    role: Vec<String>,
}

pub fn measure(run: &Run) -> Result<Vec<Chart>> {
    let sizes = run.sizes(&SIZES);
    let rounds = rounds(run);
    run.set_length(3 * sizes.len(), rounds);

    let mut charts: [Chart; 4] = [
        chart("echo", "100 active clients", "messages", Unit::PerSecond),
        chart("echo-processor", "CPU time of the server", "message", Unit::Nanoseconds),
        chart("echo-median", "median round trip", "round trip", Unit::Nanoseconds),
        chart("echo-percentile-99", "99th percentile round trip", "round trip", Unit::Nanoseconds),
    ];
    let milliseconds = if run.quick { 100 } else { 200 };
    for &idle in &sizes {
        let size = Size { active: 100, idle, rounds, milliseconds };
        add_points(run, &mut charts, &subjects_for(&size), size, |sample| {
            [sample.per_second, sample.cpu_time, sample.median, sample.percentile_99]
        })?;
    }
    let mut all = Vec::from(charts);
    for (active, clients) in [(10, "10 active clients"), (1, "1 active client")] {
        let processor = format!("{clients}, CPU time of the server");
        let median = format!("{clients}, median round trip");
        let mut charts = [
            chart(&format!("echo-{active}-processor"), &processor, "message", Unit::Nanoseconds),
            chart(&format!("echo-{active}-median"), &median, "round trip", Unit::Nanoseconds),
        ];
        for &idle in &sizes {
            let size = Size { active, idle, rounds, milliseconds: 100 };
            add_points(run, &mut charts, &subjects_for(&size), size, |sample| {
                [sample.cpu_time, sample.median]
            })?;
        }
        all.extend(charts);
    }
    Ok(all)
}

fn chart(name: &str, title: &str, y: &str, unit: Unit) -> Chart {
    Chart::new(name, &format!("TCP echo: {title}"), "idle connections", y, unit)
}

fn rounds(run: &Run) -> usize {
    if run.quick { 3 } else { ROUNDS }
}

/// Of the measurement at one point of the charts.
struct Size {
    active: usize,
    idle: usize,
    rounds: usize,
    /// The duration of a round.
    milliseconds: u64,
}

/// All subjects that can serve as many clients.
fn subjects_for(size: &Size) -> Vec<Server> {
    const OTHER_DESCRIPTORS: usize = 20;
    let most = size.idle + size.active + OTHER_DESCRIPTORS;
    let fits = |subject: &Subject| *subject != Subject::Select || most < FD_SETSIZE as usize;
    let server = |subject: Subject| {
        let value = subject.to_possible_value().expect("no subject is hidden");
        let role = vec!["server".to_owned(), value.get_name().to_owned()];
        Server { name: subject.name(), kind: subject.kind(), role }
    };
    Subject::ALL.into_iter().filter(fits).map(server).collect()
}

fn add_points<const N: usize>(
    run: &Run,
    charts: &mut [Chart; N],
    servers: &[Server],
    size: Size,
    statistics: fn(Sample) -> [f64; N],
) -> Result<()> {
    let Size { active, idle, rounds, milliseconds } = size;
    let mut measured: Vec<Round<[f64; N]>> = Vec::new();
    for server in servers {
        let mut echo = Echo::start(server, idle, active)?;
        echo.round(milliseconds)?; // pollset settles on an engine
        measured.push(Box::new(move || Ok(statistics(echo.round(milliseconds)?))));
    }
    let names = servers.iter().map(|server| (server.name, server.kind));
    run.add_points_to_all(charts, idle, names, rounds, &mut measured)
}

struct Echo {
    server: Process,
    clients: Process,
}

/// The result of a round. Times are in nanoseconds.
struct Sample {
    per_second: f64,
    /// Of the server, per message.
    cpu_time: f64,
    /// Of the round trips.
    median: f64,
    /// Of the round trips.
    percentile_99: f64,
}

impl Echo {
    fn start(server: &Server, idle: usize, active: usize) -> Result<Self> {
        let mut server = Process::start(&server.role)?;
        let line = server.read_line()?;
        // The examples print their address.
        let port = line.rsplit(':').next().unwrap_or_default();
        let [idle, active] = [idle, active].map(|count| count.to_string());
        let mut clients = Process::start(&["clients", port, &idle, &active])?;
        clients.read_line()?;
        Ok(Self { server, clients })
    }

    fn round(&mut self, milliseconds: u64) -> Result<Sample> {
        let before = self.server.cpu_time()?;
        self.clients.write_line(milliseconds)?;
        let stats: RoundStats = serde_json::from_str(&self.clients.read_line()?)?;
        let cpu_time = self.server.cpu_time()? - before;
        let messages = stats.messages as f64;
        Ok(Sample {
            per_second: messages / stats.duration * 1e9,
            cpu_time: cpu_time / messages,
            median: stats.median,
            percentile_99: stats.percentile_99,
        })
    }
}
