//! Prints the targets for which the wait has ended, and the progress of the others.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::time::Instant;

use jiff::Timestamp;
use serde::Serialize;

use super::progress::Progress;
use super::target::{Condition, Target, event_names};
use super::watch::Watch;
use crate::output;

#[derive(Clone, Copy)]
pub enum Format {
    /// `0 in,hup`
    Text,
    /// `{"index":0,"target":"0","events":["in","hup"],"time":"2026-01-31T12:00:00.123456Z"}`
    Json,
}

#[derive(Serialize)]
struct Line<'a> {
    /// The position of the target on the command line, from 0.
    index: usize,
    target: &'a str,
    events: Vec<String>,
    time: String,
}

/// Where the lines go.
#[derive(Clone, Copy)]
pub enum Destination {
    Stdout,
    Stderr,
    Nowhere,
}

pub struct Reporter {
    format: Format,
    destination: Destination,
    /// `None` if nothing is to be printed beside the lines.
    progress: Option<Progress>,
    /// Whether a closed pipe is an error, since lines are all that is wanted.
    ends_with_output: bool,
}

impl Reporter {
    pub fn new(
        format: Format,
        destination: Destination,
        progress: Option<Progress>,
        ends_with_output: bool,
    ) -> Self {
        Self { format, destination, progress, ends_with_output }
    }

    pub fn report(
        &mut self,
        position: usize,
        target: &Target,
        condition: Condition,
    ) -> io::Result<()> {
        let line = line(self.format, position, target, condition)?;
        let print = || match self.destination {
            Destination::Stdout => output::write_stdout(&line),
            Destination::Stderr => {
                output::write_stderr(String::from_utf8_lossy(&line).trim_end());
                Ok(())
            }
            Destination::Nowhere => Ok(()),
        };
        let result = match &self.progress {
            Some(progress) => progress.suspend(print),
            None => print(),
        };
        match result {
            // The wait goes on, for the sake of its exit status.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe && !self.ends_with_output => {
                self.destination = Destination::Nowhere;
                Ok(())
            }
            result => result,
        }
    }

    /// When the progress is to be shown again.
    pub fn next_update(&self) -> Option<Instant> {
        self.progress.as_ref().map(Progress::next_update)
    }

    pub fn show_progress(&mut self, watch: &Watch) {
        if let Some(progress) = &mut self.progress {
            progress.show(watch);
        }
    }
}

fn line(
    format: Format,
    index: usize,
    target: &Target,
    condition: Condition,
) -> io::Result<Vec<u8>> {
    let events: Vec<_> = match condition {
        Condition::Events(revents) => event_names(revents).collect(),
        Condition::Exists => vec!["exists".to_owned()],
        Condition::Gone => vec!["gone".to_owned()],
    };
    let mut line = match format {
        Format::Text => {
            let mut line = target.label.as_bytes().to_vec();
            line.push(b' ');
            line.extend(events.join(",").as_bytes());
            line
        }
        Format::Json => {
            let target = &target.label.to_string_lossy();
            let time = format!("{:.6}", Timestamp::now());
            serde_json::to_vec(&Line { index, target, events, time })?
        }
    };
    line.push(b'\n');
    Ok(line)
}
