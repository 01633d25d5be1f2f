//! Parses a target on the command line.

use std::ffi::{OsStr, OsString};
use std::num::NonZeroU16;
use std::os::fd::RawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use pollset::PollFlags;
use socket2::SockAddr;

use super::lookup;

/// The events for which a descriptor must be open for writing.
pub const WRITE_EVENTS: PollFlags =
    PollFlags::OUT.union(PollFlags::WRNORM).union(PollFlags::WRBAND);

#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The argument without the condition.
    pub label: OsString,
    pub source: Source,
    pub condition: Condition,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    Descriptor(RawFd),
    Path(PathBuf),
    Tcp {
        host: String,
        port: u16,
    },
    Unix(SockAddr),
    /// Sockets that a service manager has opened: those with this name, or all.
    Listen(Option<String>),
}

/// What a target is waited for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Condition {
    Events(PollFlags),
    /// A path exists.
    Exists,
    /// A path doesn't exist, a service accepts no connection, or the peer of a descriptor has hung
    /// up.
    Gone,
}

impl Target {
    pub fn parse(argument: OsString) -> Result<Self, String> {
        let bytes = argument.as_bytes();
        if let Some(rest) = bytes.strip_prefix(b"tcp:") {
            parse_tcp(std::str::from_utf8(rest).map_err(|_| TCP_FORM)?)
        } else if bytes.starts_with(UNIX_PREFIX) {
            parse_unix(bytes)
        } else if let Some(rest) = bytes.strip_prefix(b"listen:") {
            parse_listen(std::str::from_utf8(rest).map_err(|_| LISTEN_FORM)?)
        } else {
            parse_descriptor_or_path(bytes)
        }
    }
}

const UNIX_PREFIX: &[u8] = b"unix:";

const TCP_FORM: &str = "write tcp:HOST:PORT or tcp:HOST:PORT:EVENTS, \
                        an IPv6 address in brackets: tcp:[::1]:80";
const UNIX_FORM: &str = "write unix:PATH or unix:PATH:EVENTS, such as unix:/run/app.sock, \
                         or unix:@NAME for a name in Linux's abstract namespace";
const LISTEN_FORM: &str = "write listen:NAME or listen:NAME:EVENTS; listen: means every socket \
                           that the service manager has opened";

fn parse_tcp(rest: &str) -> Result<Target, String> {
    let (host, rest) = match rest.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once("]:"),
        None => rest.split_once(':'),
    }
    .filter(|(host, _)| is_host(host))
    .ok_or(TCP_FORM)?;
    let (port, condition) = match rest.split_once(':') {
        Some((port, condition)) => (port, parse_condition(condition)?),
        None => (rest, None),
    };
    let label = if host.contains(':') {
        format!("tcp:[{host}]:{port}")
    } else {
        format!("tcp:{host}:{port}")
    };
    Ok(Target {
        label: label.into(),
        source: Source::Tcp { host: host.to_owned(), port: parse_port(port)? },
        condition: connection_condition(condition)?,
    })
}

/// Whether this can be the name or the address of a host.
fn is_host(text: &str) -> bool {
    // An IPv6 address may have a zone: fe80::1%eth0. Names may have letters of all languages.
    let is_part = |c: char| c.is_alphanumeric() || "-_.:%".contains(c);
    !text.is_empty() && text.len() <= 253 && text.chars().all(is_part)
}

/// Parses a number, or looks up the name of a service.
fn parse_port(port: &str) -> Result<u16, String> {
    if port.is_empty() || port.bytes().all(|byte| byte.is_ascii_digit()) {
        let number: Result<NonZeroU16, _> = port.parse();
        number
            .map(NonZeroU16::get)
            .map_err(|_| format!("{port:?} is not a port from 1 to 65535: {TCP_FORM}"))
    } else if !port.starts_with(|c: char| c.is_ascii_alphabetic()) {
        Err(format!("{port:?} is not a port: {TCP_FORM}"))
    } else {
        lookup::port(port)
            .map_err(|_| format!("no service is named {port:?}; write the number of its port"))
    }
}

fn parse_unix(argument: &[u8]) -> Result<Target, String> {
    let (name, condition) = split_condition(argument, UNIX_PREFIX.len())?;
    let mut path = name[UNIX_PREFIX.len()..].to_owned();
    match path.first_mut() {
        None => return Err(UNIX_FORM.to_owned()),
        Some(first @ b'@') => *first = 0,
        Some(_) => {}
    }
    let address = SockAddr::unix(OsStr::from_bytes(&path))
        .map_err(|error| format!("{error}; link the folder to a shorter path, or change to it"))?;
    Ok(Target {
        label: OsString::from_vec(name.to_owned()),
        source: Source::Unix(address),
        condition: connection_condition(condition)?,
    })
}

/// The condition of a target that is connected to.
fn connection_condition(condition: Option<Condition>) -> Result<Condition, String> {
    match condition {
        Some(Condition::Exists) => {
            Err("a service doesn't exist before it accepts: wait for out, the default".to_owned())
        }
        condition => Ok(condition.unwrap_or(Condition::Events(PollFlags::OUT))),
    }
}

fn parse_listen(rest: &str) -> Result<Target, String> {
    let (name, condition) = match rest.split_once(':') {
        Some((name, condition)) => (name, parse_condition(condition)?),
        None => (rest, None),
    };
    Ok(Target {
        label: format!("listen:{name}").into(),
        source: Source::Listen((!name.is_empty()).then(|| name.to_owned())),
        condition: descriptor_condition(condition)?,
    })
}

fn descriptor_condition(condition: Option<Condition>) -> Result<Condition, String> {
    match condition {
        Some(Condition::Exists) => Err("only a path can be waited for with exists".to_owned()),
        condition => Ok(condition.unwrap_or(Condition::Events(PollFlags::IN))),
    }
}

fn parse_descriptor_or_path(argument: &[u8]) -> Result<Target, String> {
    let (name, condition) = split_condition(argument, 0)?;
    if name.is_empty() {
        return Err("write a descriptor (0), a path (/run/x.fifo), tcp:HOST:PORT, unix:PATH or \
                    listen:NAME"
            .to_owned());
    }
    if name[0] == b'-' {
        let name = OsStr::from_bytes(name).to_string_lossy();
        return Err(format!("a descriptor is not negative; write ./{name} for a file"));
    }
    let label = OsString::from_vec(name.to_owned());
    let (source, condition) = if name.iter().all(u8::is_ascii_digit) {
        let number = label.to_string_lossy().parse();
        let number = number.map_err(|_| "this number is too large for a descriptor")?;
        (Source::Descriptor(number), descriptor_condition(condition)?)
    } else {
        let condition = condition.unwrap_or(Condition::Events(PollFlags::IN));
        (Source::Path(PathBuf::from(&label)), condition)
    };
    Ok(Target { label, source, condition })
}

/// Splits at the last colon after a prefix: the text before, and the condition after it.
fn split_condition(argument: &[u8], prefix: usize) -> Result<(&[u8], Option<Condition>), String> {
    let Some(colon) = argument[prefix..].iter().rposition(|&byte| byte == b':') else {
        return Ok((argument, None));
    };
    let (name, condition) = (&argument[..prefix + colon], &argument[prefix + colon + 1..]);
    let condition = parse_condition(&OsStr::from_bytes(condition).to_string_lossy());
    let is_port = argument[prefix + colon + 1..].iter().all(u8::is_ascii_digit);
    let condition = condition.map_err(|error| {
        let argument = OsStr::from_bytes(argument).to_string_lossy();
        if is_port {
            return format!(
                "write tcp:{argument} for a TCP service, or {argument}: for a path with a colon"
            );
        }
        format!("{error}; if the colon is part of a path, end the path with one more: {argument}:")
    })?;
    Ok((name, condition))
}

/// Parses `exists`, `gone`, or a list of events such as `in,hup`; `None` for an empty text.
fn parse_condition(text: &str) -> Result<Option<Condition>, String> {
    match text.to_ascii_lowercase().as_str() {
        "" => return Ok(None),
        "exists" => return Ok(Some(Condition::Exists)),
        "gone" => return Ok(Some(Condition::Gone)),
        _ => {}
    }
    let mut events = PollFlags::empty();
    for name in text.split(',') {
        events |= PollFlags::from_name(&name.to_ascii_uppercase()).ok_or_else(|| {
            let known: Vec<_> = event_names(PollFlags::all()).collect();
            match name.to_ascii_lowercase().as_str() {
                word @ ("exists" | "gone") => {
                    format!("{word} can't be joined with events; give it alone")
                }
                _ => format!(
                    "{name:?} is not an event; the events are {}; or write exists or gone",
                    known.join(", ")
                ),
            }
        })?;
    }
    Ok(Some(Condition::Events(events)))
}

/// The events that report a hang-up and have to be asked for: `RDHUP`, where the system has it.
pub fn hang_up_events() -> PollFlags {
    PollFlags::from_name("RDHUP").unwrap_or(PollFlags::empty())
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

    fn target(label: &str, source: Source, condition: Condition) -> Result<Target, String> {
        Ok(Target { label: label.into(), source, condition })
    }

    fn descriptor(number: RawFd, condition: Condition) -> Result<Target, String> {
        target(&number.to_string(), Source::Descriptor(number), condition)
    }

    fn path(path: &str, condition: Condition) -> Result<Target, String> {
        target(path, Source::Path(path.into()), condition)
    }

    fn tcp(host: &str, port: u16) -> Source {
        Source::Tcp { host: host.to_owned(), port }
    }

    fn unix(path: &str) -> Source {
        Source::Unix(SockAddr::unix(path).unwrap())
    }

    const IN: Condition = Condition::Events(PollFlags::IN);
    const OUT: Condition = Condition::Events(PollFlags::OUT);

    #[test]
    fn number_is_a_descriptor() {
        assert_eq!(parse("0"), descriptor(0, IN));
        assert_eq!(parse("3:out"), descriptor(3, OUT));
        let in_or_hup = Condition::Events(PollFlags::IN | PollFlags::HUP);
        assert_eq!(parse("10:IN,hup"), descriptor(10, in_or_hup));
        assert_eq!(parse("3:gone"), descriptor(3, Condition::Gone));
    }

    #[test]
    fn number_above_i32_max_is_refused() {
        assert!(parse("2147483648").unwrap_err().contains("too large"));
    }

    #[test]
    fn other_text_is_a_path() {
        assert_eq!(parse("/run/x.fifo"), path("/run/x.fifo", IN));
        assert_eq!(parse("x:out"), path("x", OUT));
        assert_eq!(parse("./3"), path("./3", IN));
        assert_eq!(parse("x:exists"), path("x", Condition::Exists));
        assert_eq!(parse("x:gone"), path("x", Condition::Gone));
    }

    #[test]
    fn path_with_a_colon_needs_events_or_a_final_colon() {
        assert_eq!(parse("/a:in:"), path("/a:in", IN));
        assert_eq!(parse("/a:b:out"), path("/a:b", OUT));
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
            target("tcp:localhost:5432", tcp("localhost", 5432), OUT)
        );
        assert_eq!(parse("tcp:[::1]:80:in"), target("tcp:[::1]:80", tcp("::1", 80), IN));
        assert_eq!(
            parse("tcp:localhost:80:gone"),
            target("tcp:localhost:80", tcp("localhost", 80), Condition::Gone)
        );
    }

    #[test]
    fn unix_target_has_a_path_or_an_abstract_name() {
        assert_eq!(parse("unix:/x.sock"), target("unix:/x.sock", unix("/x.sock"), OUT));
        assert_eq!(parse("unix:x:in"), target("unix:x", unix("x"), IN));
        assert_eq!(parse("unix:a:b:"), target("unix:a:b", unix("a:b"), OUT));
        assert_eq!(parse("unix:@x"), target("unix:@x", unix("\0x"), OUT));
    }

    #[test]
    fn listen_target_has_a_name_or_means_all() {
        let named = Source::Listen(Some("web".to_owned()));
        assert_eq!(parse("listen:web"), target("listen:web", named, IN));
        assert_eq!(parse("listen:"), target("listen:", Source::Listen(None), IN));
        assert_eq!(parse("listen::out"), target("listen:", Source::Listen(None), OUT));
    }

    #[test]
    fn error_for_an_invalid_target_shows_the_syntax() {
        let too_long = format!("unix:/{}", "x".repeat(200));
        for (text, advice) in [
            ("tcp:localhost", "tcp:HOST:PORT"),
            ("tcp::80", "tcp:HOST:PORT"),
            ("tcp:::1:80", "tcp:HOST:PORT"),
            ("tcp:localhost:no-such-service", "write the number of its port"),
            ("tcp://localhost:80", "tcp:HOST:PORT"),
            ("tcp:a b:80", "tcp:HOST:PORT"),
            ("tcp:localhost:+80", "not a port"),
            ("tcp:localhost: 80", "not a port"),
            ("localhost:80", "write tcp:localhost:80"),
            ("-1", "write ./-1"),
            ("tcp:localhost:0", "not a port from 1 to 65535"),
            ("tcp:localhost:65536", "not a port from 1 to 65535"),
            ("tcp:localhost:", "not a port from 1 to 65535"),
            ("tcp:localhost:80:writable", "the events are in, pri, out"),
            ("tcp:localhost:80:exists", "wait for out"),
            ("unix:", "unix:PATH"),
            ("unix::in", "unix:PATH"),
            (&too_long, "shorter path"),
            ("0:readable", "the events are in, pri, out"),
            ("0:exists", "only a path"),
            ("0:in,gone", "give it alone"),
            ("", "write a descriptor"),
            (":in", "write a descriptor"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(advice), "{text:?}: {error}");
        }
    }
}
