//! What the second engine adds, whatever engine the rest of the suite runs on.

mod aside;
mod audit;
mod auto;
mod changes;
mod ends;
mod fork;
mod handover;
mod instance;
mod kinds;
mod namespaces;
mod phantoms;
mod refused;
mod room;
mod sandbox;
mod threads;

use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use pollset::{Builder, Engine, PollFlags, PollSet};
use rustix::event::{EventfdFlags, epoll, eventfd};

use crate::util::NOW;

/// A set that is on epoll from its first wait on.
fn on_epoll() -> PollSet {
    Builder::new().engine(Engine::Epoll).build()
}

fn automatic() -> PollSet {
    Builder::new().engine(Engine::Auto).build()
}

/// On epoll, and already asked.
fn asked<'a, T: AsRawFd + 'a>(fds: impl IntoIterator<Item = &'a T>) -> PollSet {
    let set = on_epoll();
    for fd in fds {
        set.register(fd, PollFlags::IN).unwrap();
    }
    set.poll(NOW).unwrap();
    assert_eq!(set.stats().last_engine, Some(Engine::Epoll));
    set
}

/// With whatever number the kernel gives: for tests that run alone.
fn counter(count: u32) -> OwnedFd {
    let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
    eventfd(count, flags).unwrap()
}

fn counters(count: usize) -> Vec<OwnedFd> {
    (0..count).map(|_| counter(0)).collect()
}

/// The numbers of all epoll instances that this process has open.
fn instances() -> Vec<RawFd> {
    let open = std::fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap());
    let is_epoll = |entry: &std::fs::DirEntry| {
        let target = std::fs::read_link(entry.path());
        target.is_ok_and(|target| target.as_os_str() == "anon_inode:[eventpoll]")
    };
    let numbers = open.filter(is_epoll).map(|entry| entry.file_name());
    numbers.map(|name| name.to_str().unwrap().parse().unwrap()).collect()
}

/// The only one there is.
#[track_caller]
fn instance() -> RawFd {
    let instances = instances();
    assert_eq!(instances.len(), 1, "{instances:?}");
    instances[0]
}

fn new_epoll() -> OwnedFd {
    epoll::create(epoll::CreateFlags::CLOEXEC).unwrap()
}

/// How many entries an instance has.
fn watched(instance: RawFd) -> usize {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{instance}")).unwrap();
    info.lines().filter(|line| line.starts_with("tfd:")).count()
}
