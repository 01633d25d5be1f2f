//! The hot paths, run under callgrind.

use std::hint::black_box;
use std::io::{self, PipeReader, PipeWriter, Write, pipe};
use std::time::Duration;

use pollset::{Builder, Engine, Event, PollFlags, PollSet};
use rlimit::Resource;

/// The function in which callgrind counts.
pub const COUNTED: &str = "pollset_count::paths::counted";

/// Stands for the name of a path after a call that took another one.
pub const NOT_COUNTED: &str = "-";

const NOW: Duration = Duration::ZERO;
/// How many calls of each path are counted.
const COUNTED_CALLS: usize = 10;
/// Calls before the first counted one: enough for a set to create an epoll instance.
const WARM_UP_CALLS: usize = 200;
/// Calls before each other counted one: they do the work that became due while callgrind wrote its
/// output.
const CALLS_BETWEEN: usize = 20;

/// Runs each path, and prints its name after each counted call.
pub fn run_all() -> io::Result<()> {
    waits()?;
    changes()?;
    new_sets()
}

fn waits() -> io::Result<()> {
    let limit = Resource::NOFILE.get_soft()?;
    for n in [1, 8, 64, 9_000] {
        if limit < n as u64 + 100 {
            eprintln!("SKIPPED: the limit on descriptors is too low for {n}");
            continue;
        }
        run_wait("one", 1, n, None)?;
        run_wait("none", 0, n, None)?;
    }
    for engine in [Some(Engine::Poll), Some(Engine::Epoll)] {
        run_wait("one", 1, 64, engine)?;
        run_wait("none", 0, 64, engine)?;
        run_wait("all", 64, 64, engine)?;
    }
    Ok(())
}

/// Waits on `n` descriptors that don't change; with timeout 0 if none are ready.
fn run_wait(label: &str, ready: usize, n: usize, engine: Option<Engine>) -> io::Result<()> {
    let timeout = (ready == 0).then_some(NOW);
    let mut polled = PolledPipes::new(n, ready, engine)?;
    let name = format!("{label} ready of {n}");
    if engine.is_some() || n <= 8 {
        run_path(&name, engine, ready, || polled.wait(timeout));
        return Ok(());
    }
    // The set chooses epoll when the waits on poll(2) have paid for it, tries poll(2) now and then,
    // and times some waits.
    let is_on_epoll = |polled: &PolledPipes| polled.set.stats().last_engine == Some(Engine::Epoll);
    while !is_on_epoll(&polled) {
        polled.wait(Some(NOW));
    }
    let mut calls_on_epoll = 0;
    while calls_on_epoll < 3 * COUNTED_CALLS {
        (0..CALLS_BETWEEN).for_each(|_| assert_eq!(polled.wait(timeout), ready, "{name}"));
        assert_eq!(counted(&mut || polled.wait(timeout)), ready, "{name}");
        println!("{}", if is_on_epoll(&polled) { &name } else { NOT_COUNTED });
        calls_on_epoll += usize::from(is_on_epoll(&polled));
    }
    Ok(())
}

fn changes() -> io::Result<()> {
    for (n, engine) in [(8, None), (64, Some(Engine::Poll)), (64, Some(Engine::Epoll))] {
        let mut polled = PolledPipes::new(n, 1, engine)?;
        let mut mask = PollFlags::IN;
        run_path(&format!("modify the last of {n}, wait"), engine, 1, || {
            mask.toggle(PollFlags::PRI);
            polled.set.modify(&polled.pipes.readers[n - 1], mask).unwrap();
            polled.wait(None)
        });
        let mut polled = PolledPipes::new(n, 1, engine)?;
        run_path(&format!("unregister, register, wait: each of {n} in turn"), engine, n, || {
            let PolledPipes { pipes, set, events } = &mut polled;
            let register_again = |fd| {
                set.unregister(fd).unwrap();
                set.register(fd, PollFlags::IN).unwrap();
                wait(set, events, None)
            };
            pipes.readers.iter().map(register_again).sum()
        });
    }
    Ok(())
}

fn new_sets() -> io::Result<()> {
    let mut events = Vec::with_capacity(1);
    for n in [1, 3] {
        let pipes = Pipes::new(n, 1)?;
        run_path(&format!("a new set, register {n}, wait, drop"), None, 1, || {
            let set = PollSet::new();
            pipes.readers.iter().for_each(|fd| set.register(fd, PollFlags::IN).unwrap());
            wait(&set, &mut events, Some(NOW))
        });
        run_path(&format!("a new set, extend by {n}, wait, drop"), None, 1, || {
            let mut set = PollSet::new();
            set.extend(pipes.readers.iter().map(|fd| (fd, PollFlags::IN)));
            wait(&set, &mut events, Some(NOW))
        });
    }
    run_path("a new set, register 1000, drop", None, 1_000, || {
        let set = PollSet::new();
        (0..1_000).for_each(|fd| set.register(fd, PollFlags::IN).unwrap());
        set.len()
    });
    Ok(())
}

/// Reading ends of pipes, of which some in the middle are ready.
struct Pipes {
    readers: Vec<PipeReader>,
    _writers: [PipeWriter; 2],
}

impl Pipes {
    fn new(size: usize, ready: usize) -> io::Result<Self> {
        let (idle, idle_writer) = pipe()?;
        let (full, mut full_writer) = pipe()?;
        full_writer.write_all(b"!")?;
        let first = (size - ready) / 2;
        let is_ready = |i| (first..first + ready).contains(&i);
        let readers = (0..size)
            .map(|i| if is_ready(i) { &full } else { &idle }.try_clone())
            .collect::<io::Result<_>>()?;
        Ok(Self { readers, _writers: [idle_writer, full_writer] })
    }
}

/// Pipes, and a set in which they are registered.
struct PolledPipes {
    pipes: Pipes,
    set: PollSet,
    events: Vec<Event>,
}

impl PolledPipes {
    fn new(size: usize, ready: usize, engine: Option<Engine>) -> io::Result<Self> {
        let pipes = Pipes::new(size, ready)?;
        // The audit depends on the time: as little of it as possible.
        let set = Builder::new().engine(engine).relaxed_audit().build();
        pipes.readers.iter().try_for_each(|fd| set.register(fd, PollFlags::IN))?;
        Ok(Self { pipes, set, events: Vec::new() })
    }

    fn wait(&mut self, timeout: Option<Duration>) -> usize {
        wait(&self.set, &mut self.events, timeout)
    }
}

/// Not inlined, so that another path doesn't change the machine code of the others.
#[inline(never)]
fn wait(set: &PollSet, events: &mut Vec<Event>, timeout: Option<Duration>) -> usize {
    set.poll_into(events, timeout).unwrap()
}

/// Runs one path, which must return `expected`.
fn run_path(name: &str, engine: Option<Engine>, expected: usize, mut path: impl FnMut() -> usize) {
    let name = match engine {
        Some(Engine::Poll) => format!("{name}, on poll(2)"),
        Some(Engine::Epoll) => format!("{name}, on epoll(7)"),
        _ => name.to_owned(),
    };
    for i in 0..COUNTED_CALLS {
        let calls = if i == 0 { WARM_UP_CALLS } else { CALLS_BETWEEN };
        for _ in 0..calls {
            assert_eq!(path(), expected, "{name}");
        }
        assert_eq!(counted(&mut path), expected, "{name}");
        println!("{name}");
    }
}

#[inline(never)]
fn counted(path: &mut dyn FnMut() -> usize) -> usize {
    black_box(path()) // prevents a tail call, which would leave this function first
}
