//! Parses a target on the command line.

use std::ffi::{OsStr, OsString};
use std::num::NonZeroU16;
use std::os::fd::RawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use pollset::PollFlags;

/// The events for which a descriptor must be open for writing.
pub const WRITE_EVENTS: PollFlags =
    PollFlags::OUT.union(PollFlags::WRNORM).union(PollFlags::WRBAND);

#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The argument without the events.
    pub label: OsString,
    pub source: Source,
    pub events: PollFlags,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    Descriptor(RawFd),
    Path(PathBuf),
    Tcp { host: String, port: u16 },
}

impl Target {
    pub fn parse(argument: OsString) -> Result<Self, String> {
        match argument.as_bytes().strip_prefix(b"tcp:") {
            Some(rest) => {
                let rest = std::str::from_utf8(rest).map_err(|_| TCP_FORM)?;
                parse_tcp(rest)
            }
            None => parse_descriptor_or_path(argument.as_bytes()),
        }
    }
}

const TCP_FORM: &str = "write tcp:HOST:PORT or tcp:HOST:PORT:EVENTS, \
                        an IPv6 address in brackets: tcp:[::1]:80";

fn parse_tcp(rest: &str) -> Result<Target, String> {
    let (host, rest) = match rest.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once("]:"),
        None => rest.split_once(':'),
    }
    .filter(|(host, _)| !host.is_empty())
    .ok_or(TCP_FORM)?;
    let (port, events) = match rest.split_once(':') {
        Some((port, events)) => (port, parse_events(events)?.unwrap_or(PollFlags::OUT)),
        None => (rest, PollFlags::OUT),
    };
    let number: NonZeroU16 =
        port.parse().map_err(|_| format!("{port:?} is not a port number: {TCP_FORM}"))?;
    let label = if host.contains(':') {
        format!("tcp:[{host}]:{port}")
    } else {
        format!("tcp:{host}:{port}")
    };
    Ok(Target {
        label: label.into(),
        source: Source::Tcp { host: host.to_owned(), port: number.get() },
        events,
    })
}

fn parse_descriptor_or_path(argument: &[u8]) -> Result<Target, String> {
    let (name, events) = match argument.iter().rposition(|&byte| byte == b':') {
        None => (argument, None),
        Some(colon) => {
            let events = OsStr::from_bytes(&argument[colon + 1..]).to_string_lossy();
            let events = parse_events(&events).map_err(|error| {
                let argument = OsStr::from_bytes(argument).to_string_lossy();
                format!(
                    "{error}; if the colon is part of a path, \
                     end the path with one more: {argument}:"
                )
            })?;
            (&argument[..colon], events)
        }
    };
    if name.is_empty() {
        return Err("write a descriptor (0), a path (/run/x.fifo) or tcp:HOST:PORT".to_owned());
    }
    let label = OsString::from_vec(name.to_owned());
    let source = if name.iter().all(u8::is_ascii_digit) {
        let number = label.to_string_lossy().parse();
        Source::Descriptor(number.map_err(|_| "this number is too large for a descriptor")?)
    } else {
        Source::Path(PathBuf::from(&label))
    };
    Ok(Target { label, source, events: events.unwrap_or(PollFlags::IN) })
}

/// Parses a list of events such as `in,hup`; `None` for an empty one.
fn parse_events(text: &str) -> Result<Option<PollFlags>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let mut events = PollFlags::empty();
    for name in text.split(',') {
        events |= PollFlags::from_name(&name.to_ascii_uppercase()).ok_or_else(|| {
            let known: Vec<_> = event_names(PollFlags::all()).collect();
            format!("{name:?} is not an event; the events are {}", known.join(", "))
        })?;
    }
    Ok(Some(events))
}

/// The names of `events` in the syntax of the command line.
pub fn event_names(events: PollFlags) -> impl Iterator<Item = String> {
    events.iter_names().map(|(name, _)| name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Target, String> {
        Target::parse(text.into())
    }

    fn target(label: &str, source: Source, events: PollFlags) -> Result<Target, String> {
        Ok(Target { label: label.into(), source, events })
    }

    fn path(path: &str) -> Source {
        Source::Path(path.into())
    }

    fn tcp(host: &str, port: u16) -> Source {
        Source::Tcp { host: host.to_owned(), port }
    }

    #[test]
    fn number_is_a_descriptor() {
        assert_eq!(parse("0"), target("0", Source::Descriptor(0), PollFlags::IN));
        assert_eq!(parse("3:out"), target("3", Source::Descriptor(3), PollFlags::OUT));
        assert_eq!(
            parse("10:IN,hup"),
            target("10", Source::Descriptor(10), PollFlags::IN | PollFlags::HUP)
        );
    }

    #[test]
    fn number_above_i32_max_is_refused() {
        assert!(parse("2147483648").unwrap_err().contains("too large"));
    }

    #[test]
    fn other_text_is_a_path() {
        assert_eq!(parse("/run/x.fifo"), target("/run/x.fifo", path("/run/x.fifo"), PollFlags::IN));
        assert_eq!(parse("x:out"), target("x", path("x"), PollFlags::OUT));
        assert_eq!(parse("./3"), target("./3", path("./3"), PollFlags::IN));
    }

    #[test]
    fn path_with_a_colon_needs_events_or_a_final_colon() {
        assert_eq!(parse("/a:in:"), target("/a:in", path("/a:in"), PollFlags::IN));
        assert_eq!(parse("/a:b:out"), target("/a:b", path("/a:b"), PollFlags::OUT));
        assert!(parse("/a:b").unwrap_err().ends_with("end the path with one more: /a:b:"));
    }

    #[test]
    fn path_can_be_other_than_utf_8() {
        let bytes = b"/tmp/\xff".to_vec();
        let parsed = Target::parse(OsString::from_vec(bytes.clone())).unwrap();
        assert_eq!(parsed.label.as_bytes(), bytes);
    }

    #[test]
    fn tcp_target_has_a_host_and_a_port() {
        assert_eq!(
            parse("tcp:localhost:5432"),
            target("tcp:localhost:5432", tcp("localhost", 5432), PollFlags::OUT)
        );
        assert_eq!(parse("tcp:[::1]:80:in"), target("tcp:[::1]:80", tcp("::1", 80), PollFlags::IN));
    }

    #[test]
    fn error_for_an_invalid_target_shows_the_syntax() {
        for (text, advice) in [
            ("tcp:localhost", "tcp:HOST:PORT"),
            ("tcp::80", "tcp:HOST:PORT"),
            ("tcp:::1:80", "tcp:HOST:PORT"),
            ("tcp:localhost:http", "not a port number"),
            ("tcp:localhost:0", "not a port number"),
            ("tcp:localhost:80:writable", "the events are in, pri, out"),
            ("0:readable", "the events are in, pri, out"),
            ("", "write a descriptor"),
            (":in", "write a descriptor"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(advice), "{text:?}: {error}");
        }
    }
}
