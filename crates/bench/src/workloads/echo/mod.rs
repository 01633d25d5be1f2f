//! A server and its clients, two processes for each contestant.

mod clients;
mod server;

use std::env::current_exe;
use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};
use clap::{Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::measure::{Player, Run};
use crate::pollers::{Contestant, MOST_OF_SELECT};
use crate::report::{Chart, Unit};

pub const TALKERS: usize = 100;
const ROUNDS: usize = 15;

/// What the two processes do.
#[derive(Clone, Subcommand)]
pub enum Role {
    /// Prints its port. Ends with its standard input.
    Server { contestant: Contestant },
    /// Says when the clients are connected, and then, for each line, how a round went.
    Clients { port: u16, idle: usize },
}

impl Role {
    pub fn play(self) -> Result<()> {
        match self {
            Self::Server { contestant } => server::run(contestant),
            Self::Clients { port, idle } => clients::run(port, idle),
        }
    }
}

/// What the clients see of a round. Times are in nanoseconds.
#[derive(Serialize, Deserialize)]
struct Round {
    messages: u64,
    duration: f64,
    median: f64,
    percentile_99: f64,
}

pub fn measure(run: &Run) -> Result<Vec<Chart>> {
    let chart = |name, title, y, unit| Chart::new(name, title, "idle connections", y, unit);
    let mut charts = [
        chart("echo", "TCP echo, 100 clients talk", "messages", Unit::PerSecond),
        chart(
            "echo-processor",
            "What the server takes of a processor",
            "a message",
            Unit::Nanoseconds,
        ),
        chart("echo-median", "Round trips: the median", "a round trip", Unit::Nanoseconds),
        chart(
            "echo-percentile-99",
            "Round trips: the 99th percentile",
            "a round trip",
            Unit::Nanoseconds,
        ),
    ];
    let sizes = run.sizes(&[0, 100, 1_000, 9_000]);
    let rounds = if run.quick { 3 } else { ROUNDS };
    run.expect(sizes.len(), rounds);
    for idle in sizes {
        let fits = |contestant: &Contestant| {
            *contestant != Contestant::Select || idle + 2 * TALKERS < MOST_OF_SELECT as usize
        };
        let contestants: Vec<_> = Contestant::ALL.into_iter().filter(fits).collect();
        let mut players: Vec<Player<[f64; 4]>> = Vec::new();
        for &contestant in &contestants {
            let mut pair = Pair::start(contestant, idle)?;
            pair.round()?; // until ours has chosen
            players.push(Box::new(move || pair.round()));
        }
        let samples = run.in_turn(rounds, &mut players)?;
        for (&contestant, samples) in contestants.iter().zip(samples) {
            for (measure, chart) in charts.iter_mut().enumerate() {
                let samples = samples.iter().map(|sample| sample[measure]).collect();
                chart.add(contestant, idle, samples);
            }
        }
    }
    Ok(charts.into())
}

struct Pair {
    server: Process,
    clients: Process,
}

impl Pair {
    fn start(contestant: Contestant, idle: usize) -> Result<Self> {
        let value = contestant.to_possible_value().expect("none is hidden");
        let mut server = Process::start(&["server", value.get_name()])?;
        let port = server.answer()?;
        let mut clients = Process::start(&["clients", &port, &idle.to_string()])?;
        clients.answer()?;
        Ok(Self { server, clients })
    }

    /// Messages a second, and nanoseconds: of the processor for a message; of a round trip, the
    /// median and the 99th percentile.
    fn round(&mut self) -> Result<[f64; 4]> {
        let before = self.server.processor_time()?;
        writeln!(self.clients.input)?;
        let answer = self.clients.answer()?;
        let taken = self.server.processor_time()? - before;
        let round: Round = serde_json::from_str(&answer)?;
        let messages = round.messages as f64;
        let a_second = messages / round.duration * 1e9;
        Ok([a_second, taken / messages, round.median, round.percentile_99])
    }
}

/// This program in one of its roles.
struct Process {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(role: &[&str]) -> Result<Self> {
        let mut command = Command::new(current_exe()?);
        command.arg("echo-role").args(role).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let input = child.stdin.take().expect("it is piped");
        let output = child.stdout.take().expect("it is piped");
        Ok(Self { child, input, output: BufReader::new(output).lines() })
    }

    fn answer(&mut self) -> Result<String> {
        Ok(self.output.next().context("a server or its clients ended")??)
    }

    /// Nanoseconds.
    fn processor_time(&self) -> Result<f64> {
        let statistics = fs::read_to_string(format!("/proc/{}/schedstat", self.child.id()))?;
        let time = statistics.split(' ').next().expect("something is before a space");
        Ok(time.parse()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended can't be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
