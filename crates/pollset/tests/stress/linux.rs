use std::collections::HashSet;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use pollset::{Builder, ConcurrentPoll, Engine, Event, PollFlags, PollSet, Waker};
use rustix::event::{EventfdFlags, PollFd, eventfd, poll as kernel_poll};

const CHANGERS: usize = 3;
const POLLERS: usize = 2;
const WAITS: usize = 20_000;

/// The number of finished waits.
static WAITED: AtomicUsize = AtomicUsize::new(0);

fn is_done() -> bool {
    WAITED.load(Ordering::Acquire) >= WAITS
}

static AUTOMATIC: PollSet = PollSet::new();
static ON_POLL: PollSet = Builder::new().engine(Some(Engine::Poll)).build();
static ON_EPOLL: PollSet = Builder::new().engine(Some(Engine::Epoll)).build();

pub fn main() {
    for set in [&AUTOMATIC, &ON_POLL, &ON_EPOLL] {
        let changes = stress(set);
        println!("{changes} changes: {:?}", set.stats());
    }
}

/// Changes the registrations of `fds` at random. Returns the number of changes, and the
/// registrations that remain.
fn change(set: &PollSet, fds: &[RawFd], seed: u64) -> (usize, Vec<(RawFd, PollFlags)>) {
    let mut registered: Vec<(RawFd, PollFlags)> = Vec::new();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut changes = 0;
    while !is_done() {
        changes += 1;
        let fd = fds[random.usize(..fds.len())];
        let mask = [PollFlags::IN, PollFlags::PRI, PollFlags::empty()][random.usize(..3)];
        let index = registered.iter().position(|(other, _)| *other == fd);
        match (random.u8(..3), index) {
            (0, Some(i)) => {
                set.unregister(fd).unwrap();
                registered.remove(i);
            }
            (0, None) => assert!(set.unregister(fd).is_err()),
            (1, Some(i)) => {
                set.modify(fd, mask).unwrap();
                registered[i].1 = mask;
            }
            (1, None) => assert!(set.modify(fd, mask).is_err()),
            (_, Some(i)) => {
                set.register(fd, mask).unwrap();
                registered[i].1 = mask;
            }
            (_, None) => {
                set.register(fd, mask).unwrap();
                registered.push((fd, mask));
            }
        }
    }
    (changes, registered)
}

/// Waits whenever no other thread is waiting.
fn poll(set: &PollSet, waker: &Waker, known: &HashSet<RawFd>) {
    let mut events: Vec<Event> = Vec::new();
    while !is_done() {
        let waited = WAITED.load(Ordering::Relaxed);
        let timeout = [Some(Duration::ZERO), Some(Duration::from_micros(50)), None][waited % 3];
        match set.poll_into(&mut events, timeout) {
            Ok(_) => {
                WAITED.fetch_add(1, Ordering::Release);
                let distinct: HashSet<_> = events.iter().map(|event| event.fd).collect();
                assert_eq!(distinct.len(), events.len(), "reported twice: {events:?}");
                assert!(distinct.is_subset(known), "never registered: {events:?}");
                waker.clear().unwrap();
            }
            Err(error) => {
                assert!(error.get_ref().is_some_and(|error| error.is::<ConcurrentPoll>()));
                thread::yield_now();
            }
        }
    }
}

/// Returns the number of changes.
fn stress(set: &'static PollSet) -> usize {
    WAITED.store(0, Ordering::Release);
    let waker = Arc::new(Waker::new().unwrap());
    set.register(&*waker, PollFlags::IN).unwrap();
    let pools: [Vec<OwnedFd>; CHANGERS] = std::array::from_fn(|i| {
        let counter = |j| eventfd(u32::from(j % 10 == 0), EventfdFlags::CLOEXEC).unwrap();
        (0..50 * (i + 1)).map(counter).collect()
    });
    let numbers: Vec<Vec<RawFd>> =
        pools.iter().map(|pool| pool.iter().map(AsRawFd::as_raw_fd).collect()).collect();
    let known = || numbers.iter().flatten().copied().chain([waker.as_raw_fd()]).collect();

    let pollers = [(); POLLERS].map(|()| {
        let (waker, known) = (waker.clone(), known());
        thread::spawn(move || poll(set, &waker, &known))
    });
    let changers = numbers.iter().cloned().zip(1..);
    let changers = changers.map(|(pool, seed)| thread::spawn(move || change(set, &pool, seed)));
    let changers: Vec<_> = changers.collect();
    while !pollers.iter().all(JoinHandle::is_finished) {
        waker.wake().unwrap();
        thread::yield_now();
    }
    pollers.into_iter().for_each(|poller| poller.join().unwrap());

    let mut all_changes = 0;
    for (pool, changer) in numbers.iter().zip(changers) {
        let (changes, registered) = changer.join().unwrap();
        let remaining = set.iter().filter(|(fd, _)| pool.contains(fd));
        assert_eq!(remaining.collect::<Vec<_>>(), registered);
        all_changes += changes;
    }
    waker.clear().unwrap();
    assert_agrees(set, &pools);
    for (fd, _) in set {
        set.unregister(fd).unwrap();
    }
    all_changes
}

/// The set reports the events of poll(2) in the kernel, in the same order.
fn assert_agrees(set: &PollSet, pools: &[Vec<OwnedFd>]) {
    let file_of = |number| pools.iter().flatten().find(|fd| fd.as_raw_fd() == number);
    let entry_of = |(number, mask)| file_of(number).map(|fd| (fd.as_fd(), mask));
    let mut entries: Vec<PollFd<'_>> = set
        .iter()
        .filter_map(entry_of)
        .map(|(fd, mask): (BorrowedFd<'_>, PollFlags)| {
            PollFd::from_borrowed_fd(
                fd,
                rustix::event::PollFlags::from_bits_retain(mask.bits() as _),
            )
        })
        .collect();
    kernel_poll(&mut entries, Some(&Default::default())).unwrap();
    let expected = entries.iter().filter(|entry| !entry.revents().is_empty()).map(|entry| Event {
        fd: entry.as_fd().as_raw_fd(),
        revents: PollFlags::from_bits_retain(entry.revents().bits() as _),
    });
    assert_eq!(set.poll(Duration::ZERO).unwrap(), expected.collect::<Vec<_>>());
}
