//! The fallback: descriptors that epoll refuses or is unreliable for, polled by poll(2) beside the
//! instance.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use pollset::{Engine, Event, PollFlags, PollSet, Step};
use rustix::event::epoll;

use super::namespaces::{in_namespaces, mounts};
use super::{
    epoll_set, instance_fd, make_idle, make_ready, new_epoll, owned_counter, poll_until, polled_set,
};
use crate::helpers::{MILLISECOND, event_counters, run_short_steps};
use crate::util::fd::Fd;
use crate::util::limit::set_fd_limit;
use crate::util::oracle::assert_matches_kernel;
use crate::util::process::in_own_process;
use crate::util::wait::while_waiting;
use crate::util::{LONG, NEVER_OPENED, NOW, event, kinds};

fn nest(outer: impl AsFd, inner: impl AsFd) -> rustix::io::Result<()> {
    epoll::add(outer, inner, epoll::EventData::new_u64(0), epoll::EventFlags::IN)
}

/// Nested instances up to the kernel's limit: the first contains `fd`, each other one the one
/// before it.
fn nested_instances(fd: &Fd) -> Vec<OwnedFd> {
    let mut chain = vec![new_epoll()];
    nest(&chain[0], fd).unwrap();
    loop {
        let next = new_epoll();
        if nest(&next, chain.last().unwrap()).is_err() {
            return chain;
        }
        chain.push(next);
    }
}

fn register(set: &PollSet, fd: &impl AsRawFd) {
    set.register(fd, PollFlags::IN | PollFlags::OUT).unwrap();
}

#[test]
fn fallback_events_are_merged_in_registration_order() {
    let set = epoll_set();
    let mut fds = Vec::new();
    let mut add = |fd: Fd| {
        register(&set, &fd);
        fds.push(fd);
    };
    for _ in 0..4 {
        let (one, other) = kinds::socket_pair();
        add(one);
        add(kinds::regular_file());
        add(kinds::directory());
        add(kinds::eventfd(1));
        add(Fd::closed());
        add(kinds::device("/dev/null"));
        add(other);
        add(kinds::eventfd(0));
        set.register(NEVER_OPENED, PollFlags::IN).unwrap();
    }
    for _ in 0..3 {
        let events = assert_matches_kernel(&set);
        assert!(events.len() > 30);
        assert_eq!(set.stats().last_engine, Some(Engine::Epoll));
    }
    for fd in fds.iter().step_by(3) {
        set.modify(fd, PollFlags::IN).unwrap();
        assert_matches_kernel(&set);
    }
    for fd in &fds {
        set.unregister(fd).unwrap();
        assert_matches_kernel(&set);
    }
    assert_eq!(assert_matches_kernel(&set), [event(&NEVER_OPENED, PollFlags::NVAL)]);
}

#[test]
fn wait_blocks_on_fallback_and_epoll_descriptors() {
    let (one, to_one) = kinds::pipe();
    let (other, to_other) = kinds::pipe();
    let set = epoll_set();
    // This mask always uses the fallback, since epoll may miss its wake-ups.
    set.register(&one, PollFlags::RDNORM).unwrap();
    set.register(&other, PollFlags::IN).unwrap();
    let ends = [(&one, to_one, PollFlags::RDNORM), (&other, to_other, PollFlags::IN)];
    for (reader, writer, revents) in &ends {
        let events = while_waiting(&set, LONG, || assert_eq!(writer.write(b"data").unwrap(), 4));
        assert_eq!(events.unwrap(), [event(*reader, *revents)]);
        reader.drain();
        assert_eq!(assert_matches_kernel(&set), []);
    }
}

/// A terminal becomes writable without a wake-up when its output moves on inside the kernel.
#[test]
fn terminal_that_becomes_writable_without_wakeup_is_reported() {
    for _ in 0..100 {
        let (master, slave) = kinds::terminal();
        let set = epoll_set();
        register(&set, &master);
        register(&set, &slave);
        assert_matches_kernel(&set);
        slave.write_until_full();
        assert_matches_kernel(&set);
        master.write(b"text").unwrap();
        for _ in 0..20 {
            assert_matches_kernel(&set);
            std::thread::sleep(Duration::from_micros(50));
        }
    }
}

/// A nested instance wakes with `IN` alone, and epoll checks a file only if the wake-up has a flag of
/// the mask.
#[test]
fn nested_epoll_with_a_mask_without_in_is_reported() {
    let fd = kinds::eventfd(0);
    let nested = kinds::epoll_watching(&fd);
    let other = kinds::eventfd(0);
    let set = polled_set([&nested, &other]);
    assert_matches_kernel(&set);
    for mask in [PollFlags::RDNORM, PollFlags::IN | PollFlags::RDNORM, PollFlags::RDNORM] {
        set.modify(&nested, mask).unwrap();
        assert_eq!(assert_matches_kernel(&set), []);
        fd.increment();
        assert_eq!(assert_matches_kernel(&set), [event(&nested, mask)]);
        fd.drain();
    }
    assert_eq!(set.stats().replaced, 0);
}

#[test]
fn mount_changes_are_reported_exactly_once() {
    in_own_process(|| {
        in_namespaces(libc::CLONE_NEWNS, || {
            let directory = tempfile::tempdir().unwrap();
            let mount = || kinds::Mount::of_memory(directory.path()).unwrap();
            let set = epoll_set();
            let (mut reused, other) = (kinds::eventfd(0), kinds::eventfd(0));
            set.register(&reused, PollFlags::IN).unwrap();
            set.register(&other, PollFlags::IN).unwrap();
            let mask = PollFlags::IN | PollFlags::PRI;
            let assert_reported_once = |fd: &Fd| {
                assert_eq!(set.poll(NOW).unwrap(), [event(fd, mask | PollFlags::ERR)]);
                assert_eq!(set.poll(NOW).unwrap(), [event(fd, PollFlags::IN)]);
            };
            for _ in 0..2 {
                let mounts = mounts();
                let _mount = mount();
                set.register(&mounts, mask).unwrap();
                assert_reported_once(&mounts);
                let _another = mount();
                set.modify(&mounts, mask | PollFlags::RDHUP).unwrap();
                assert_reported_once(&mounts);
                set.unregister(&mounts).unwrap();
            }
            // The audit finds that its descriptor refers to another file.
            reused.open(mounts().dup_file());
            poll_until(&set, |events| events == [event(&reused, PollFlags::IN)]);
            let _mount = mount();
            set.modify(&reused, mask).unwrap();
            assert_reported_once(&reused);
            assert_eq!((set.stats().replaced, set.stats().refused), (0, 0));
        });
    });
}

#[test]
fn too_deeply_nested_epoll_agrees_with_kernel() {
    let fd = kinds::eventfd(0);
    let chain = nested_instances(&fd);
    let set = epoll_set();
    for epoll in &chain {
        set.register(epoll, PollFlags::IN).unwrap();
    }
    register(&set, &fd);
    for _ in 0..3 {
        assert_eq!(assert_matches_kernel(&set).len(), 1);
        fd.increment();
        assert_eq!(assert_matches_kernel(&set).len(), chain.len() + 1);
        fd.drain();
    }
}

#[test]
fn epoll_that_contains_the_instance_agrees_with_kernel() {
    in_own_process(|| {
        let fd = owned_counter(0);
        let set = epoll_set();
        register(&set, &fd);
        assert_matches_kernel(&set);
        let instance = instance_fd();
        let outer = new_epoll();
        // SAFETY: the set, which owns the descriptor, outlives the borrow.
        nest(&outer, unsafe { BorrowedFd::borrow_raw(instance) }).unwrap();
        set.register(&outer, PollFlags::IN).unwrap();
        for _ in 0..3 {
            assert_matches_kernel(&set);
            set.modify(&fd, PollFlags::IN).unwrap();
            assert_eq!(assert_matches_kernel(&set), []);
            make_ready([&fd]);
            assert_matches_kernel(&set);
            make_idle([&fd]);
        }
    });
}

/// poll(2) takes at most `RLIMIT_NOFILE` entries, so an empty instance must not be one of them.
#[test]
fn rlimit_nofile_descriptors_can_be_on_the_fallback() {
    in_own_process(|| {
        let set = epoll_set();
        for i in 0..65 {
            set.register(NEVER_OPENED + i, PollFlags::IN).unwrap();
        }
        assert_eq!(assert_matches_kernel(&set).len(), 65);
        set.unregister(NEVER_OPENED + 7).unwrap();
        set_fd_limit(64);
        assert_eq!(assert_matches_kernel(&set).len(), 64);
        assert_eq!(set.stats().last_engine, Some(Engine::Epoll));
    });
}

#[test]
fn wait_on_fallback_descriptors_alone_is_one_sleep() {
    let fds = event_counters(20, 0);
    let set = epoll_set();
    for fd in &fds {
        set.register(fd, PollFlags::RDNORM).unwrap();
    }
    assert_eq!(set.poll(NOW).unwrap(), []);
    let (start, timeout) = (Instant::now(), 150 * MILLISECOND);
    let mut waiting = set.start(timeout).unwrap();
    run_short_steps(&mut waiting);
    assert_eq!(waiting.step().unwrap(), Step::Ready(0));
    assert!(start.elapsed() >= timeout);
}

/// The descriptor that will be opened next.
fn next_fd() -> RawFd {
    owned_counter(0).as_raw_fd()
}

#[test]
fn instance_avoids_fds_that_are_registered_but_closed() {
    in_own_process(|| {
        let fd = owned_counter(1);
        let set = epoll_set();
        let closed = next_fd();
        set.register(closed, PollFlags::IN).unwrap();
        set.register(&fd, PollFlags::IN).unwrap();
        for _ in 0..3 {
            let events = assert_matches_kernel(&set);
            assert_eq!(events[0], Event { fd: closed, revents: PollFlags::NVAL });
        }
        assert_ne!(instance_fd(), closed);
    });
}

#[test]
fn replacement_instance_avoids_fds_that_are_registered_but_closed() {
    in_own_process(|| {
        let (fd, other) = (owned_counter(1), owned_counter(0));
        let set = polled_set([&fd, &other]);
        let _duplicate = fd.try_clone().unwrap();
        let number = fd.as_raw_fd();
        drop(fd);
        set.unregister(number).unwrap();
        assert_eq!(next_fd(), number);
        set.register(number, PollFlags::IN).unwrap();
        for _ in 0..3 {
            assert_eq!(assert_matches_kernel(&set), [event(&number, PollFlags::NVAL)]);
        }
        assert_eq!((set.stats().replaced, set.stats().refused), (1, 0));
    });
}

#[test]
fn registered_fd_of_the_instance_agrees_with_kernel() {
    in_own_process(|| {
        let fd = owned_counter(1);
        let set = epoll_set();
        set.register(&fd, PollFlags::IN).unwrap();
        assert_eq!(assert_matches_kernel(&set).len(), 1);
        set.register(instance_fd(), PollFlags::IN).unwrap();
        assert_eq!(assert_matches_kernel(&set).len(), 2);
        make_idle([&fd]);
        assert_eq!(assert_matches_kernel(&set), []);
        set.unregister(instance_fd()).unwrap();
        assert_eq!(assert_matches_kernel(&set), []);
    });
}
