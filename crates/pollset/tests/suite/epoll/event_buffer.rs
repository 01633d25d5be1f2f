//! The size of the event buffer for epoll: small at first, and large enough for all ready
//! descriptors from then on. Steps show it, since those that may return many events are not short.

use pollset::{PollFlags, PollSet, Step};

use super::{make_idle, make_ready, owned_counters, poll_until, polled_set};
use crate::helpers::event_counters;
use crate::util::fd::Fd;
use crate::util::oracle::assert_matches_kernel;
use crate::util::process::in_own_process;
use crate::util::{NOW, kinds};

/// The number of steps of one wait, and whether all are short.
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

const SMALL_BUFFER: (usize, bool) = (1, true);
/// A step to prepare, and a long one to poll.
const LARGE_BUFFER: (usize, bool) = (2, false);

#[test]
fn all_ready_descriptors_are_reported_at_every_count() {
    in_own_process(|| {
        let sizes = [63, 64, 65, 66, 127, 128, 129, 300];
        let cases = sizes.iter().flat_map(|&all| [62, 63, 64, 65, all].map(|ready| (all, ready)));
        for (registered, ready) in cases.filter(|(all, ready)| ready <= all) {
            let fds = owned_counters(registered);
            let set = polled_set(&fds);
            make_ready(&fds[registered - ready..]);
            for _ in 0..3 {
                assert_eq!(assert_matches_kernel(&set).len(), ready);
            }
        }
    });
}

#[test]
fn event_buffer_grows_at_once_and_shrinks_when_idle() {
    in_own_process(|| {
        let fds = owned_counters(1_000);
        let set = polled_set(&fds);
        for _ in 0..3 {
            make_ready(&fds[..60]);
            for _ in 0..3 {
                assert_eq!(steps(&set), SMALL_BUFFER);
            }
            make_ready(&fds[60..]);
            assert_eq!(set.poll(NOW).unwrap().len(), 1_000);
            for _ in 0..3 {
                assert_eq!(steps(&set), LARGE_BUFFER);
            }
            make_idle(&fds);
            for _ in 0..4 {
                assert_eq!(set.poll(NOW).unwrap(), []);
            }
        }
    });
}

/// The steps of a wait on `count` descriptors with `mask`, none of which is ready.
fn steps_with(count: usize, mask: PollFlags) -> (usize, bool) {
    let fds = event_counters(count, 0);
    let set = polled_set(&fds[..1]);
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
fn fallback_descriptors_count_toward_the_cost_of_a_step() {
    for (count, expected) in [(20, SMALL_BUFFER), (70, LARGE_BUFFER)] {
        assert_eq!(steps_with(count, PollFlags::RDNORM), expected, "{count} on the fallback");
    }
}

#[test]
fn masks_that_may_miss_wakeups_use_the_fallback() {
    use PollFlags as F;
    let masks =
        [(F::IN, &[F::PRI, F::RDNORM, F::RDBAND, F::MSG][..]), (F::OUT, &[F::WRNORM, F::WRBAND])];
    for (reliable, masks) in masks {
        for &mask in masks {
            assert_eq!(steps_with(70, mask), LARGE_BUFFER, "{mask}");
            assert_eq!(steps_with(70, mask | reliable), SMALL_BUFFER, "{mask} | {reliable}");
        }
    }
    assert_eq!(steps_with(70, F::IN), SMALL_BUFFER);
    assert_eq!(steps_with(70, F::RDHUP), SMALL_BUFFER);
    assert_eq!(steps_with(70, F::OUT), SMALL_BUFFER);
    assert_eq!(steps_with(70, F::RDNORM | F::OUT), LARGE_BUFFER);
    assert_eq!(steps_with(70, F::WRNORM | F::IN), LARGE_BUFFER);
}

#[test]
fn reused_fds_found_by_the_audit_do_not_use_the_fallback() {
    let mut fds = event_counters(130, 0);
    let set = polled_set(&fds);
    for fd in &mut fds {
        fd.open(kinds::eventfd(1).dup_file());
    }
    poll_until(&set, |events| events.len() == fds.len());
    fds.iter().for_each(Fd::drain);
    for _ in 0..4 {
        assert_eq!(set.poll(NOW).unwrap(), []);
    }
    assert_eq!(steps(&set), SMALL_BUFFER);
}
