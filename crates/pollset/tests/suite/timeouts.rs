//! Duration of waits: never early, and about as late as those of poll(2) in the kernel.

use std::time::{Duration, Instant};

use pollset::{Engine, PollFlags, PollSet, Timeout, Waker};

use crate::helpers::{MILLISECOND, event_counters, set_with_engine, thread_cpu_time};
use crate::util::oracle::{pollfds_of, raw_poll};
use crate::util::wait::while_waiting;
use crate::util::{LONG, NOW, event, kinds, new_set, set_of};

/// Below, at and above whole microseconds and milliseconds.
fn durations() -> impl Iterator<Item = Duration> {
    let short = [1, 2, 999, 1_000, 1_001, 10_000, 99_999, 500_000, 999_999];
    let long = [1_000_000, 1_000_001, 1_499_999, 1_999_999, 3_140_001, 7_777_777, 20_000_000];
    short.into_iter().chain(long).map(Duration::from_nanos)
}

fn elapsed(wait: impl FnOnce()) -> Duration {
    let start = Instant::now();
    wait();
    start.elapsed()
}

fn shortest_of(count: usize, mut wait: impl FnMut()) -> Duration {
    (0..count).map(|_| elapsed(&mut wait)).min().unwrap()
}

/// Repeats each wait, since a set adapts how it waits.
fn assert_never_early(set: &PollSet) {
    for duration in durations() {
        for _ in 0..3 {
            let took = elapsed(|| assert_eq!(set.poll(duration).unwrap(), []));
            assert!(took >= duration, "{took:?} instead of {duration:?}");
            let took = elapsed(|| assert_eq!(set.poll(Some(duration)).unwrap(), []));
            assert!(took >= duration, "{took:?} instead of Some({duration:?})");
            let deadline = Instant::now() + duration;
            assert_eq!(set.poll(deadline).unwrap(), []);
            assert!(Instant::now() >= deadline, "returned before a deadline in {duration:?}");
        }
    }
}

#[test]
fn wait_on_empty_set_is_never_early() {
    assert_never_early(&new_set());
}

#[test]
fn wait_on_small_idle_set_is_never_early() {
    let fds = event_counters(3, 0);
    assert_never_early(&set_of(&fds, PollFlags::IN));
}

#[test]
fn wait_on_large_idle_set_is_never_early() {
    let fds = event_counters(200, 0);
    assert_never_early(&set_of(&fds, PollFlags::IN));
}

#[test]
fn first_wait_of_a_set_is_never_early() {
    let fds = event_counters(1, 0);
    for duration in durations() {
        let set = set_of(&fds, PollFlags::IN);
        assert!(elapsed(|| assert_eq!(set.poll(duration).unwrap(), [])) >= duration);
    }
}

#[test]
fn timeout_converts_from_option_duration_and_instant() {
    let at = Instant::now();
    assert_eq!(Timeout::from(None), Timeout::Never);
    assert_eq!(Timeout::from(Some(MILLISECOND)), Timeout::After(MILLISECOND));
    assert_eq!(Timeout::from(MILLISECOND), Timeout::After(MILLISECOND));
    assert_eq!(Timeout::from(at), Timeout::At(at));
}

#[test]
fn ready_descriptor_is_reported_with_every_timeout() {
    let fd = kinds::eventfd(1);
    let set = set_of([&fd], PollFlags::IN);
    let now = Instant::now();
    let timeouts = [
        Timeout::Never,
        Timeout::After(NOW),
        Timeout::After(Duration::from_nanos(1)),
        Timeout::After(LONG),
        Timeout::After(Duration::MAX),
        Timeout::At(now.checked_sub(MILLISECOND).unwrap_or(now)),
        Timeout::At(now),
        Timeout::At(now + LONG),
        Timeout::At(far_future()),
    ];
    for timeout in timeouts {
        assert_eq!(set.poll(timeout).unwrap(), [event(&fd, PollFlags::IN)], "{timeout:?}");
    }
}

/// The latest representable instant, within a factor of two.
fn far_future() -> Instant {
    let mut ahead = Duration::MAX;
    loop {
        match Instant::now().checked_add(ahead) {
            Some(instant) => return instant,
            None => ahead /= 2,
        }
    }
}

#[test]
fn deadline_in_the_past_polls_without_waiting() {
    let fds = event_counters(1, 0);
    let set = set_of(&fds, PollFlags::IN);
    let mut array = pollfds_of(&set.iter().collect::<Vec<_>>());
    let kernel = shortest_of(5, || assert_eq!(raw_poll(&mut array, 10), 0));
    let past = Instant::now();
    let ours = shortest_of(20, || assert_eq!(set.poll(past).unwrap(), []));
    assert!(2 * ours < kernel, "{ours:?}, and {kernel:?} for 10 ms in poll(2)");
    fds[0].increment();
    assert_eq!(set.poll(past).unwrap(), [event(&fds[0], PollFlags::IN)]);
}

fn assert_lasts_until_woken(timeout: impl Into<Timeout>) {
    let waker = Waker::new().unwrap();
    let set = set_of([&waker], PollFlags::IN);
    let events = while_waiting(&set, timeout, || {
        std::thread::sleep(MILLISECOND);
        waker.wake().unwrap();
    });
    assert_eq!(events.unwrap(), [event(&waker, PollFlags::IN)]);
}

#[test]
fn wait_without_timeout_lasts_until_woken() {
    assert_lasts_until_woken(None);
}

#[test]
fn longest_duration_does_not_overflow() {
    assert_lasts_until_woken(Duration::MAX);
}

#[test]
fn durations_near_integer_limits_do_not_overflow() {
    for bits in [31, 32, 33, 63] {
        assert_lasts_until_woken(Duration::from_secs(1 << bits));
        assert_lasts_until_woken(Duration::from_millis(1 << bits));
        assert_lasts_until_woken(Duration::from_millis((1 << bits) - 1));
    }
    assert_lasts_until_woken(Duration::from_nanos(u64::MAX));
}

#[test]
fn farthest_deadline_does_not_overflow() {
    assert_lasts_until_woken(far_future());
}

#[test]
fn readiness_during_wait_ends_it() {
    let (reader, writer) = kinds::pipe();
    let idle = event_counters(20, 0);
    let set = set_of(idle.iter().chain([&reader]), PollFlags::IN);
    for timeout in [Timeout::Never, LONG.into(), (Instant::now() + LONG).into()] {
        let events = while_waiting(&set, timeout, || {
            writer.write(b"data").unwrap();
        });
        assert_eq!(events.unwrap(), [event(&reader, PollFlags::IN)]);
        reader.drain();
    }
}

#[test]
fn timerfd_expiry_during_wait_ends_it() {
    let timer = kinds::timerfd(2 * MILLISECOND);
    let set = set_of([&timer], PollFlags::IN);
    assert_eq!(set.poll(LONG).unwrap(), [event(&timer, PollFlags::IN)]);
}

/// A set may change how it waits after idle waits.
#[test]
fn readiness_after_idle_waits_is_reported() {
    let fd = kinds::eventfd(0);
    let set = set_of([&fd], PollFlags::IN);
    for idle_waits in 0..70 {
        for _ in 0..idle_waits {
            assert_eq!(set.poll(Duration::from_nanos(1)).unwrap(), []);
        }
        fd.increment();
        for timeout in [Timeout::After(Duration::from_nanos(1)), Timeout::Never] {
            assert_eq!(set.poll(timeout).unwrap(), [event(&fd, PollFlags::IN)]);
        }
        fd.drain();
    }
}

#[test]
#[cfg_attr(pollset_portable, ignore = "poll(2) has a resolution of a millisecond")]
fn timeout_below_a_millisecond_is_not_rounded_up() {
    let fds = event_counters(3, 0);
    let set = set_of(&fds, PollFlags::IN);
    let mut array = pollfds_of(&set.iter().collect::<Vec<_>>());
    let kernel = shortest_of(50, || assert_eq!(raw_poll(&mut array, 1), 0));
    let ours = shortest_of(300, || drop(set.poll(Duration::from_micros(100)).unwrap()));
    assert!(2 * ours < kernel, "100 us took {ours:?}, and 1 ms {kernel:?} in poll(2)");
}

#[test]
fn wait_is_about_as_late_as_poll_in_the_kernel() {
    let fds = event_counters(3, 0);
    let set = set_of(&fds, PollFlags::IN);
    let mut array = pollfds_of(&set.iter().collect::<Vec<_>>());
    let kernel = shortest_of(50, || assert_eq!(raw_poll(&mut array, 2), 0));
    let ours = shortest_of(50, || drop(set.poll(2 * MILLISECOND).unwrap()));
    assert!(ours < 3 * kernel, "{ours:?}, and {kernel:?} in poll(2)");
}

#[test]
fn idle_wait_sleeps_instead_of_spinning() {
    let fds = event_counters(3, 0);
    for engine in [Engine::Poll, Engine::Epoll] {
        let set = set_with_engine(engine, &fds);
        let timeout = Duration::from_micros(900);
        let before = thread_cpu_time();
        for _ in 0..50 {
            assert!(elapsed(|| assert_eq!(set.poll(timeout).unwrap(), [])) >= timeout);
        }
        let used = thread_cpu_time() - before;
        // CPU time excludes other processes.
        assert!(used < 50 * timeout / 4, "{used:?} of CPU time in 50 waits of {timeout:?}");
    }
}
