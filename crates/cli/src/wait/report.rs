//! Lines on standard output.

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;

use pollset::PollFlags;
use serde::Serialize;

use super::target::{Target, event_names};

#[derive(Clone, Copy)]
pub enum Format {
    /// The target and its events: `0 in,hup`
    Text,
    /// `{"target":"0","events":["in","hup"]}`
    Json,
}

#[derive(Serialize)]
struct Line<'a> {
    target: &'a str,
    events: Vec<String>,
}

pub fn report(format: Format, target: &Target, revents: PollFlags) -> io::Result<()> {
    let events: Vec<_> = event_names(revents).collect();
    let mut line = match format {
        Format::Text => {
            let mut line = target.label.as_bytes().to_vec();
            line.push(b' ');
            line.extend(events.join(",").as_bytes());
            line
        }
        Format::Json => serde_json::to_vec(&Line {
            target: &target.label.to_string_lossy(),
            events,
        })?,
    };
    line.push(b'\n');
    io::stdout().write_all(&line)
}
