//! Prints the events of a target, as text or as JSON.

use std::io;
use std::os::unix::ffi::OsStrExt;

use pollset::PollFlags;
use serde::Serialize;

use super::target::{Target, event_names};
use crate::output;

#[derive(Clone, Copy)]
pub enum Format {
    /// `0 in,hup`
    Text,
    /// `{"index":0,"target":"0","events":["in","hup"]}`
    Json,
}

#[derive(Serialize)]
struct Line<'a> {
    /// The position of the target on the command line, from 0.
    index: usize,
    target: &'a str,
    events: Vec<String>,
}

/// Prints a line.
pub fn report(format: Format, index: usize, target: &Target, revents: PollFlags) -> io::Result<()> {
    let events: Vec<_> = event_names(revents).collect();
    let mut line = match format {
        Format::Text => {
            let mut line = target.label.as_bytes().to_vec();
            line.push(b' ');
            line.extend(events.join(",").as_bytes());
            line
        }
        Format::Json => {
            serde_json::to_vec(&Line { index, target: &target.label.to_string_lossy(), events })?
        }
    };
    line.push(b'\n');
    output::write_stdout(&line)
}
