//! What epoll refuses, beside what it takes.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use pollset::{Engine, PollFlags, PollSet, Step};
use rustix::event::epoll;
use rustix::process::{Resource, getrlimit, setrlimit};

use super::{asked, counter, instance, new_epoll, on_epoll};
use crate::util::fd::Fd;
use crate::util::oracle::assert_agrees;
use crate::util::process::{Child, alone};
use crate::util::wait::while_waiting;
use crate::util::{LONG, NEVER_OPENED, NOW, event, kinds};

fn nest(outer: impl AsFd, inner: impl AsFd) -> rustix::io::Result<()> {
    epoll::add(outer, inner, epoll::EventData::new_u64(0), epoll::EventFlags::IN)
}

/// Each watches the one before; the first watches `fd`.
fn chain(fd: &Fd) -> Vec<OwnedFd> {
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
fn what_epoll_refuses_is_answered_among_what_it_takes() {
    let set = on_epoll();
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
        add(kinds::event_counter(1));
        add(Fd::closed());
        add(kinds::device("/dev/null"));
        add(other);
        add(kinds::event_counter(0));
        set.register(NEVER_OPENED, PollFlags::IN).unwrap();
    }
    for _ in 0..3 {
        let events = assert_agrees(&set);
        assert!(events.len() > 30);
        assert_eq!(set.stats().last_engine, Some(Engine::Epoll));
    }
    for fd in fds.iter().step_by(3) {
        set.modify(fd, PollFlags::IN).unwrap();
        assert_agrees(&set);
    }
    for fd in &fds {
        set.unregister(fd).unwrap();
        assert_agrees(&set);
    }
    assert_eq!(assert_agrees(&set), [event(&NEVER_OPENED, PollFlags::NVAL)]);
}

#[test]
fn a_wait_blocks_on_what_is_aside_and_on_the_rest_alike() {
    let (one, to_one) = kinds::pipe();
    let (other, to_other) = kinds::pipe();
    let set = on_epoll();
    // This mask is never left to epoll, which might sleep through it.
    set.register(&one, PollFlags::RDNORM).unwrap();
    set.register(&other, PollFlags::IN).unwrap();
    let ends = [(&one, to_one, PollFlags::RDNORM), (&other, to_other, PollFlags::IN)];
    for (reader, writer, revents) in &ends {
        let events = while_waiting(&set, LONG, || assert_eq!(writer.write(b"data").unwrap(), 4));
        assert_eq!(events.unwrap(), [event(*reader, *revents)]);
        reader.drain();
        assert_eq!(assert_agrees(&set), []);
    }
}

/// When what was written to a terminal moves on inside it, there is room again, and nobody is woken.
#[test]
fn a_terminal_that_comes_to_have_room_by_itself_is_ready() {
    for _ in 0..100 {
        let (master, slave) = kinds::terminal();
        let set = on_epoll();
        register(&set, &master);
        register(&set, &slave);
        assert_agrees(&set);
        slave.write_until_full();
        assert_agrees(&set);
        master.write(b"text").unwrap();
        for _ in 0..20 {
            assert_agrees(&set);
            std::thread::sleep(Duration::from_micros(50));
        }
    }
}

/// It wakes with `IN` alone, and epoll looks only if it is woken with what was asked for.
#[test]
fn a_nested_epoll_is_not_missed_under_a_mask_without_in() {
    let fd = kinds::event_counter(0);
    let nested = kinds::epoll_watching(&fd);
    let other = kinds::event_counter(0);
    let set = asked([&nested, &other]);
    assert_agrees(&set);
    for mask in [PollFlags::RDNORM, PollFlags::IN | PollFlags::RDNORM, PollFlags::RDNORM] {
        set.modify(&nested, mask).unwrap();
        assert_eq!(assert_agrees(&set), []);
        fd.increment();
        assert_eq!(assert_agrees(&set), [event(&nested, mask)]);
        fd.drain();
    }
    assert_eq!(set.stats().replaced, 0);
}

/// Who asks for news of them is told once.
fn mounts() -> Fd {
    Fd::new(std::fs::File::open("/proc/thread-self/mounts").unwrap())
}

/// In a mount namespace of its own; false where there is none to be had.
fn unshare_mounts() -> bool {
    // SAFETY: it takes flags, and concerns the process alone.
    unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS) == 0 }
}

fn mount_something() {
    let [source, target] = [c"tmpfs", c"/tmp"].map(std::ffi::CStr::as_ptr);
    // SAFETY: the strings end with a zero, and there may be no data.
    let outcome = unsafe { libc::mount(source, target, source, 0, std::ptr::null()) };
    assert_eq!(outcome, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn news_of_mounts_are_told_once_and_not_lost() {
    alone(|| {
        let child = Child::run(|| {
            if !unshare_mounts() {
                return eprintln!("not tested: no mount namespace to be had");
            }
            let set = on_epoll();
            let (mut reused, other) = (kinds::event_counter(0), kinds::event_counter(0));
            set.register(&reused, PollFlags::IN).unwrap();
            set.register(&other, PollFlags::IN).unwrap();
            let mask = PollFlags::IN | PollFlags::PRI;
            let told_once = |fd: &Fd| {
                assert_eq!(set.poll(NOW).unwrap(), [event(fd, mask | PollFlags::ERR)]);
                assert_eq!(set.poll(NOW).unwrap(), [event(fd, PollFlags::IN)]);
            };
            for _ in 0..2 {
                let mounts = mounts();
                mount_something();
                set.register(&mounts, mask).unwrap();
                told_once(&mounts);
                mount_something();
                set.modify(&mounts, mask | PollFlags::RDHUP).unwrap();
                told_once(&mounts);
                set.unregister(&mounts).unwrap();
            }
            // The audit finds that they have taken the number of another file.
            reused.open(mounts().dup_file());
            let start = Instant::now();
            while set.poll(NOW).unwrap() != [event(&reused, PollFlags::IN)] {
                assert!(start.elapsed() < LONG);
            }
            mount_something();
            set.modify(&reused, mask).unwrap();
            told_once(&reused);
            assert_eq!((set.stats().replaced, set.stats().refused), (0, 0));
        });
        child.join();
    });
}

#[test]
fn epoll_nested_too_deep_is_answered_like_the_rest() {
    let fd = kinds::event_counter(0);
    let chain = chain(&fd);
    let set = on_epoll();
    for epoll in &chain {
        set.register(epoll, PollFlags::IN).unwrap();
    }
    register(&set, &fd);
    for _ in 0..3 {
        assert_eq!(assert_agrees(&set).len(), 1);
        fd.increment();
        assert_eq!(assert_agrees(&set).len(), chain.len() + 1);
        fd.drain();
    }
}

#[test]
fn an_epoll_that_watches_the_sets_own_is_answered_like_the_rest() {
    alone(|| {
        let fd = counter(0);
        let set = on_epoll();
        register(&set, &fd);
        assert_agrees(&set);
        let own = instance();
        let outer = new_epoll();
        // SAFETY: the set lives, and so does its instance.
        nest(&outer, unsafe { std::os::fd::BorrowedFd::borrow_raw(own) }).unwrap();
        set.register(&outer, PollFlags::IN).unwrap();
        for _ in 0..3 {
            assert_agrees(&set);
            set.modify(&fd, PollFlags::IN).unwrap();
            assert_eq!(assert_agrees(&set), []);
            rustix::io::write(&fd, &1_u64.to_ne_bytes()).unwrap();
            assert_agrees(&set);
            rustix::io::read(&fd, &mut [0; 8]).unwrap();
        }
    });
}

/// Those epoll refuses are asked as they are, without an instance that watches nothing.
#[test]
fn as_many_as_the_limit_can_be_aside() {
    alone(|| {
        let set = on_epoll();
        for i in 0..65 {
            set.register(NEVER_OPENED + i, PollFlags::IN).unwrap();
        }
        assert_eq!(assert_agrees(&set).len(), 65);
        set.unregister(NEVER_OPENED + 7).unwrap();
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = Some(64);
        setrlimit(Resource::Nofile, limit).unwrap();
        assert_eq!(assert_agrees(&set).len(), 64);
        assert_eq!(set.stats().last_engine, Some(Engine::Epoll));
    });
}

#[test]
fn a_wait_on_nothing_but_what_is_aside_sleeps_to_its_end() {
    let fds: Vec<_> = (0..20).map(|_| kinds::event_counter(0)).collect();
    let set = on_epoll();
    for fd in &fds {
        set.register(fd, PollFlags::RDNORM).unwrap();
    }
    assert_eq!(set.poll(NOW).unwrap(), []);
    let mut waiting = set.start(Duration::from_millis(150)).unwrap();
    while waiting.is_short() {
        assert_eq!(waiting.step().unwrap(), Step::Unfinished);
    }
    assert_eq!(waiting.step().unwrap(), Step::Ready(0));
}

/// The number that is opened next.
fn next_number() -> RawFd {
    counter(0).as_raw_fd()
}

#[test]
fn the_instance_takes_no_number_that_is_registered_and_closed() {
    alone(|| {
        let fd = counter(1);
        let set = on_epoll();
        let closed = next_number();
        set.register(closed, PollFlags::IN).unwrap();
        set.register(&fd, PollFlags::IN).unwrap();
        for _ in 0..3 {
            let events = assert_agrees(&set);
            assert_eq!(events[0], pollset::Event { fd: closed, revents: PollFlags::NVAL });
        }
        assert_ne!(instance(), closed);
    });
}

#[test]
fn nor_does_one_that_takes_its_place() {
    alone(|| {
        let (fd, other) = (counter(1), counter(0));
        let set = asked([&fd, &other]);
        let _alive = fd.try_clone().unwrap();
        let number = fd.as_raw_fd();
        drop(fd);
        set.unregister(number).unwrap();
        assert_eq!(next_number(), number);
        set.register(number, PollFlags::IN).unwrap();
        for _ in 0..3 {
            assert_eq!(assert_agrees(&set), [event(&number, PollFlags::NVAL)]);
        }
        assert_eq!((set.stats().replaced, set.stats().refused), (1, 0));
    });
}

#[test]
fn the_instances_own_number_is_answered_like_the_rest() {
    alone(|| {
        let fd = counter(1);
        let set = on_epoll();
        set.register(&fd, PollFlags::IN).unwrap();
        assert_eq!(assert_agrees(&set).len(), 1);
        set.register(instance(), PollFlags::IN).unwrap();
        assert_eq!(assert_agrees(&set).len(), 2);
        rustix::io::read(&fd, &mut [0; 8]).unwrap();
        assert_eq!(assert_agrees(&set), []);
        set.unregister(instance()).unwrap();
        assert_eq!(assert_agrees(&set), []);
    });
}
