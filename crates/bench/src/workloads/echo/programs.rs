//! The echo servers of the examples and of the tests in C: whole programs, as users write them.

use std::env::{self, current_exe};
use std::io::{Error, stdin};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{SIZES, Server, Size, add_points, chart, rounds};
use crate::measure::Run;
use crate::report::{Chart, Kind, Unit};

#[path = "../../../../pollset/examples/echo.rs"]
#[allow(dead_code)] // its `main`
mod example;

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../c");

pub fn measure(run: &Run) -> Result<Vec<Chart>> {
    let servers = servers()?;
    let sizes = run.sizes(&SIZES);
    let rounds = rounds(run);
    run.set_length(sizes.len(), rounds);
    let mut charts = [
        chart("echo-programs", "four programs", "messages", Unit::PerSecond),
        chart("echo-programs-processor", "four programs, CPU time", "message", Unit::Nanoseconds),
    ];
    for idle in sizes {
        let size = Size { active: 100, idle, rounds, milliseconds: 200 };
        add_points(run, &mut charts, &servers, size, |sample| {
            [sample.per_second, sample.cpu_time]
        })?;
    }
    Ok(charts.into())
}

fn servers() -> Result<Vec<Server>> {
    let program = |source| -> Result<Vec<String>> {
        let path = compile(source)?.into_os_string().into_string();
        Ok(vec!["program".into(), path.ok().context("the folder's name is not UTF-8")?])
    };
    Ok(vec![
        Server { name: "pollset", kind: Kind::Ours, role: vec!["example".into()] },
        Server { name: "pollset, C", kind: Kind::Ours, role: program("examples/echo.c")? },
        Server { name: "poll(2), C", kind: Kind::Bare, role: program("tests/c/echo_poll.c")? },
        Server { name: "epoll(7), C", kind: Kind::Bare, role: program("tests/c/echo_epoll.c")? },
    ])
}

/// Compiles a program of the crate `pollset-c`, with the static library that cargo has built together
/// with this program.
fn compile(source: &str) -> Result<PathBuf> {
    let folder = current_exe()?.with_file_name("deps");
    let program = folder.join(source.replace('/', "-")).with_extension("");
    let compiler = env::var("CC").unwrap_or("cc".into());
    let mut command = Command::new(&compiler);
    command.args(["-O2", "-o"]).arg(&program).arg("-I").arg(Path::new(SOURCES).join("include"));
    command.arg(Path::new(SOURCES).join(source)).arg(folder.join("libpollset_c.a"));
    command.args(["-pthread", "-ldl", "-lm"]);
    let status = command.status().with_context(|| format!("can't run {compiler}"))?;
    ensure!(status.success(), "can't compile {source}: {status}");
    Ok(program)
}

pub fn run_example() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("listening on {}", listener.local_addr()?);
    Ok(example::serve(&listener, &stdin())?)
}

/// Replaces this process by the program.
pub fn become_program(path: &Path) -> Result<()> {
    let error: Error = Command::new(path).exec();
    Err(error).with_context(|| format!("can't run {}", path.display()))
}
