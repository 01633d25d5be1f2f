//! How many answers epoll is asked for at once: few at first, and as many as there are.

use std::os::fd::OwnedFd;
use std::time::Instant;

use pollset::{PollFlags, PollSet, Step};

use super::{asked, counters};
use crate::util::fd::Fd;
use crate::util::oracle::assert_agrees;
use crate::util::process::alone;
use crate::util::{LONG, NOW, kinds};

/// How many steps one wait takes, and whether all are short.
fn steps(set: &PollSet) -> (usize, bool) {
    let mut waiting = set.start(NOW).unwrap();
    let mut are_short = true;
    for count in 1.. {
        are_short &= waiting.is_short();
        if let Step::Ready(_) = waiting.step().unwrap() {
            return (count, are_short);
        }
    }
    unreachable!()
}

const ASKED_ONCE_FOR_FEW: (usize, bool) = (1, true);
/// One step to prepare it, and a long one to ask.
const ASKED_ONCE_FOR_MANY: (usize, bool) = (2, false);

#[test]
fn all_are_reported_however_many_are_ready() {
    alone(|| {
        let sizes = [63, 64, 65, 66, 127, 128, 129, 300];
        let cases = sizes.iter().flat_map(|&all| [62, 63, 64, 65, all].map(|ready| (all, ready)));
        for (registered, ready) in cases.filter(|(all, ready)| ready <= all) {
            let fds = counters(registered);
            let set = asked(&fds);
            make_ready(&fds[registered - ready..]);
            for _ in 0..3 {
                assert_eq!(assert_agrees(&set).len(), ready);
            }
        }
    });
}

fn make_ready(fds: &[OwnedFd]) {
    for fd in fds {
        rustix::io::write(fd, &1_u64.to_ne_bytes()).unwrap();
    }
}

fn make_idle(fds: &[OwnedFd]) {
    for fd in fds {
        rustix::io::read(fd, &mut [0; 8]).unwrap();
    }
}

#[test]
fn it_goes_up_at_once_and_down_in_quiet_times() {
    alone(|| {
        let fds = counters(1_000);
        let set = asked(&fds);
        for _ in 0..3 {
            make_ready(&fds[..60]);
            for _ in 0..3 {
                assert_eq!(steps(&set), ASKED_ONCE_FOR_FEW);
            }
            make_ready(&fds[60..]);
            assert_eq!(set.poll(NOW).unwrap().len(), 1_000);
            for _ in 0..3 {
                assert_eq!(steps(&set), ASKED_ONCE_FOR_MANY);
            }
            make_idle(&fds);
            for _ in 0..4 {
                assert_eq!(set.poll(NOW).unwrap(), []);
            }
        }
    });
}

/// With `count` under `mask`, none of which is ready.
fn steps_with(count: usize, mask: PollFlags) -> (usize, bool) {
    let fds: Vec<_> = (0..count).map(|_| kinds::event_counter(0)).collect();
    let set = asked(&fds[..1]);
    for fd in &fds[1..] {
        if mask.contains(PollFlags::OUT) {
            fd.write(&(u64::MAX - 1).to_ne_bytes()).unwrap();
        }
        set.register(fd, mask).unwrap();
    }
    set.poll(NOW).unwrap();
    steps(&set)
}

#[test]
fn what_is_aside_is_one_more_each() {
    for (aside, expected) in [(20, ASKED_ONCE_FOR_FEW), (70, ASKED_ONCE_FOR_MANY)] {
        assert_eq!(steps_with(aside, PollFlags::RDNORM), expected, "{aside} aside");
    }
}

#[test]
fn masks_that_epoll_might_sleep_through_are_aside() {
    use PollFlags as F;
    let masks =
        [(F::IN, &[F::PRI, F::RDNORM, F::RDBAND, F::MSG][..]), (F::OUT, &[F::WRNORM, F::WRBAND])];
    for (enough, masks) in masks {
        for &mask in masks {
            assert_eq!(steps_with(70, mask), ASKED_ONCE_FOR_MANY, "{mask}");
            assert_eq!(steps_with(70, mask | enough), ASKED_ONCE_FOR_FEW, "{mask} too");
        }
    }
    assert_eq!(steps_with(70, F::IN), ASKED_ONCE_FOR_FEW);
    assert_eq!(steps_with(70, F::RDHUP), ASKED_ONCE_FOR_FEW);
    assert_eq!(steps_with(70, F::OUT), ASKED_ONCE_FOR_FEW);
    assert_eq!(steps_with(70, F::RDNORM | F::OUT), ASKED_ONCE_FOR_MANY);
    assert_eq!(steps_with(70, F::WRNORM | F::IN), ASKED_ONCE_FOR_MANY);
}

#[test]
fn what_was_found_to_be_used_again_is_not_aside() {
    let mut fds: Vec<_> = (0..130).map(|_| kinds::event_counter(0)).collect();
    let set = asked(&fds);
    for fd in &mut fds {
        fd.open(kinds::event_counter(1).dup_file());
    }
    let start = Instant::now();
    while set.poll(NOW).unwrap().len() < fds.len() {
        assert!(start.elapsed() < LONG);
    }
    fds.iter().for_each(Fd::drain);
    for _ in 0..4 {
        assert_eq!(set.poll(NOW).unwrap(), []);
    }
    assert_eq!(steps(&set), ASKED_ONCE_FOR_FEW);
}
