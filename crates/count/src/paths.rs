//! The hot paths, walked for callgrind.

use std::hint::black_box;
use std::io::{self, PipeReader, PipeWriter, Write, pipe};
use std::time::Duration;

use pollset::{Builder, Engine, Event, PollFlags, PollSet};
use rlimit::Resource;

/// Where callgrind counts.
pub const COUNTED: &str = "pollset_count::paths::counted";

const NOW: Duration = Duration::ZERO;
/// So many calls of each path are counted.
const TIMES: usize = 10;
/// Calls before the first of them: enough for a set to buy an epoll instance.
const CALLS_AT_FIRST: usize = 200;
/// Calls before each other: what has become due while callgrind wrote is done here.
const CALLS_BETWEEN: usize = 20;

/// Walks each path, and prints its name each time that it has been counted.
pub fn walk() -> io::Result<()> {
    waits()?;
    changes()?;
    new_sets()
}

fn waits() -> io::Result<()> {
    let limit = Resource::NOFILE.get_soft()?;
    for n in [1, 8, 64, 9_000] {
        if limit < n as u64 + 100 {
            eprintln!("SKIPPED: {n} descriptors are more than the limit");
            continue;
        }
        wait_steadily("one", 1, n, Engine::Auto)?;
        wait_steadily("none", 0, n, Engine::Auto)?;
    }
    for engine in [Engine::Poll, Engine::Epoll] {
        wait_steadily("one", 1, 64, engine)?;
        wait_steadily("none", 0, 64, engine)?;
        wait_steadily("all", 64, 64, engine)?;
    }
    Ok(())
}

/// With timeout 0 if none are ready.
fn wait_steadily(some: &str, ready: usize, n: usize, engine: Engine) -> io::Result<()> {
    let timeout = (ready == 0).then_some(NOW);
    let mut watched = Watched::new(n, ready, engine)?;
    walk_one(&format!("{some} ready of {n}"), engine, ready, || watched.wait(timeout));
    Ok(())
}

fn changes() -> io::Result<()> {
    for (n, engine) in [(8, Engine::Auto), (64, Engine::Poll), (64, Engine::Epoll)] {
        let mut watched = Watched::new(n, 1, engine)?;
        let mut mask = PollFlags::IN;
        walk_one(&format!("modify the last of {n}, wait"), engine, 1, || {
            mask.toggle(PollFlags::PRI);
            watched.set.modify(&watched.crowd.readers[n - 1], mask).unwrap();
            watched.wait(None)
        });
        let mut watched = Watched::new(n, 1, engine)?;
        walk_one(&format!("unregister, register, wait: each of {n} in turn"), engine, n, || {
            let Watched { crowd, set, events } = &mut watched;
            let serve = |fd| {
                set.unregister(fd).unwrap();
                set.register(fd, PollFlags::IN).unwrap();
                wait(set, events, None)
            };
            crowd.readers.iter().map(serve).sum()
        });
    }
    Ok(())
}

fn new_sets() -> io::Result<()> {
    let mut events = Vec::with_capacity(1);
    for n in [1, 3] {
        let crowd = Crowd::new(n, 1)?;
        walk_one(&format!("a new set, register {n}, wait, drop"), Engine::Auto, 1, || {
            let set = PollSet::new();
            crowd.readers.iter().for_each(|fd| set.register(fd, PollFlags::IN).unwrap());
            wait(&set, &mut events, Some(NOW))
        });
        walk_one(&format!("a new set, register_all of {n}, wait, drop"), Engine::Auto, 1, || {
            let mut set = PollSet::new();
            set.register_all(crowd.readers.iter().map(|fd| (fd, PollFlags::IN))).unwrap();
            wait(&set, &mut events, Some(NOW))
        });
    }
    walk_one("a new set, register 1000, drop", Engine::Auto, 1_000, || {
        let set = PollSet::new();
        (0..1_000).for_each(|fd| set.register(fd, PollFlags::IN).unwrap());
        set.len()
    });
    Ok(())
}

/// Pipes to read from, of which some in the middle are ready.
struct Crowd {
    readers: Vec<PipeReader>,
    _writers: [PipeWriter; 2],
}

impl Crowd {
    fn new(size: usize, ready: usize) -> io::Result<Self> {
        let (silent, silent_writer) = pipe()?;
        let (full, mut full_writer) = pipe()?;
        full_writer.write_all(b"!")?;
        let first = (size - ready) / 2;
        let is_ready = |member| (first..first + ready).contains(&member);
        let readers = (0..size)
            .map(|member| if is_ready(member) { &full } else { &silent }.try_clone())
            .collect::<io::Result<_>>()?;
        Ok(Self { readers, _writers: [silent_writer, full_writer] })
    }
}

struct Watched {
    crowd: Crowd,
    set: PollSet,
    events: Vec<Event>,
}

impl Watched {
    fn new(size: usize, ready: usize, engine: Engine) -> io::Result<Self> {
        let crowd = Crowd::new(size, ready)?;
        // As little as may be of what depends on the time.
        let set = Builder::new().engine(engine).audit_at_leisure().build();
        crowd.readers.iter().try_for_each(|fd| set.register(fd, PollFlags::IN))?;
        Ok(Self { crowd, set, events: Vec::new() })
    }

    fn wait(&mut self, timeout: Option<Duration>) -> usize {
        wait(&self.set, &mut self.events, timeout)
    }
}

/// Not inlined, so that a path more doesn't change what the compiler makes of the others.
#[inline(never)]
fn wait(set: &PollSet, events: &mut Vec<Event>, timeout: Option<Duration>) -> usize {
    set.poll_into(events, timeout).unwrap()
}

fn walk_one(name: &str, engine: Engine, answer: usize, mut path: impl FnMut() -> usize) {
    let name = match engine {
        Engine::Auto => name.to_owned(),
        Engine::Poll => format!("{name}, on poll(2)"),
        Engine::Epoll => format!("{name}, on epoll(7)"),
    };
    for time in 0..TIMES {
        let calls = if time == 0 { CALLS_AT_FIRST } else { CALLS_BETWEEN };
        for _ in 0..calls {
            assert_eq!(path(), answer, "{name}");
        }
        assert_eq!(counted(&mut path), answer, "{name}");
        println!("{name}");
    }
}

#[inline(never)]
fn counted(path: &mut dyn FnMut() -> usize) -> usize {
    black_box(path()) // not a jump at the end, which would leave this function first
}
