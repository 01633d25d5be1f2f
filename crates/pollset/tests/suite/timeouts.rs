//! How long a wait takes. Never early; how late is compared with the kernel's own waits.

use std::time::{Duration, Instant};

use pollset::{Builder, Engine, PollFlags, PollSet, Timeout, Waker};

use crate::util::fd::Fd;
use crate::util::oracle::{array_of, kernel_wait};
use crate::util::wait::while_waiting;
use crate::util::{LONG, NOW, event, kinds, new_set, set_of};

const MILLISECOND: Duration = Duration::from_millis(1);

fn idle_fds(count: usize) -> Vec<Fd> {
    (0..count).map(|_| kinds::event_counter(0)).collect()
}

fn spread() -> impl Iterator<Item = Duration> {
    let nanoseconds = [1, 2, 999, 1_000, 1_001, 10_000, 99_999, 500_000, 999_999];
    let more = [1_000_000, 1_000_001, 1_499_999, 1_999_999, 3_140_001, 7_777_777, 20_000_000];
    nanoseconds.into_iter().chain(more).map(Duration::from_nanos)
}

fn elapsed(wait: impl FnOnce()) -> Duration {
    let start = Instant::now();
    wait();
    start.elapsed()
}

fn shortest_of(count: usize, mut wait: impl FnMut()) -> Duration {
    (0..count).map(|_| elapsed(&mut wait)).min().unwrap()
}

/// Several times, as a set learns how to wait.
fn assert_never_early(set: &PollSet) {
    for duration in spread() {
        for _ in 0..3 {
            let took = elapsed(|| assert_eq!(set.poll(duration).unwrap(), []));
            assert!(took >= duration, "{took:?} instead of {duration:?}");
            let took = elapsed(|| assert_eq!(set.poll(Some(duration)).unwrap(), []));
            assert!(took >= duration, "{took:?} instead of Some({duration:?})");
            let deadline = Instant::now() + duration;
            assert_eq!(set.poll(deadline).unwrap(), []);
            assert!(Instant::now() >= deadline, "before the deadline in {duration:?}");
        }
    }
}

#[test]
fn an_empty_set_is_never_early() {
    assert_never_early(&new_set());
}

#[test]
fn a_small_idle_set_is_never_early() {
    let fds = idle_fds(3);
    assert_never_early(&set_of(&fds, PollFlags::IN));
}

#[test]
fn a_large_idle_set_is_never_early() {
    let fds = idle_fds(200);
    assert_never_early(&set_of(&fds, PollFlags::IN));
}

#[test]
fn each_new_set_is_never_early() {
    let fds = idle_fds(1);
    for duration in spread() {
        let set = set_of(&fds, PollFlags::IN);
        assert!(elapsed(|| assert_eq!(set.poll(duration).unwrap(), [])) >= duration);
    }
}

#[test]
fn all_forms_of_a_timeout_say_what_they_say() {
    let at = Instant::now();
    assert_eq!(Timeout::from(None), Timeout::Never);
    assert_eq!(Timeout::from(Some(MILLISECOND)), Timeout::After(MILLISECOND));
    assert_eq!(Timeout::from(MILLISECOND), Timeout::After(MILLISECOND));
    assert_eq!(Timeout::from(at), Timeout::At(at));
}

#[test]
fn what_is_ready_is_reported_under_every_timeout() {
    let fd = kinds::event_counter(1);
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

/// As far as the clock can tell, within a factor of two.
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
fn a_deadline_in_the_past_is_a_question_without_a_wait() {
    let fds = idle_fds(1);
    let set = set_of(&fds, PollFlags::IN);
    let past = Instant::now();
    for _ in 0..20 {
        assert_eq!(set.poll(past).unwrap(), []);
    }
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
fn no_timeout_waits_until_something_is_ready() {
    assert_lasts_until_woken(None);
}

#[test]
fn the_longest_duration_does_not_overflow() {
    assert_lasts_until_woken(Duration::MAX);
}

#[test]
fn durations_around_the_limits_of_integers_do_not_overflow() {
    for bits in [31, 32, 33, 63] {
        assert_lasts_until_woken(Duration::from_secs(1 << bits));
        assert_lasts_until_woken(Duration::from_millis(1 << bits));
        assert_lasts_until_woken(Duration::from_millis((1 << bits) - 1));
    }
    assert_lasts_until_woken(Duration::from_nanos(u64::MAX));
}

#[test]
fn a_deadline_in_the_far_future_does_not_overflow() {
    assert_lasts_until_woken(far_future());
}

#[test]
fn what_becomes_ready_during_a_wait_ends_it() {
    let (reader, writer) = kinds::pipe();
    let idle = idle_fds(20);
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
fn a_descriptor_that_expires_during_a_wait_ends_it() {
    let timer = kinds::timer(2 * MILLISECOND);
    let set = set_of([&timer], PollFlags::IN);
    assert_eq!(set.poll(LONG).unwrap(), [event(&timer, PollFlags::IN)]);
}

/// A set may change how it waits after waits that found nothing.
#[test]
fn waits_that_found_nothing_do_not_hide_what_comes_next() {
    let fd = kinds::event_counter(0);
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
#[cfg_attr(pollset_portable, ignore = "plain poll(2) counts in milliseconds")]
fn less_than_a_millisecond_is_not_rounded_up_to_one() {
    let fds = idle_fds(3);
    let set = set_of(&fds, PollFlags::IN);
    let mut array = array_of(&set.iter().collect::<Vec<_>>());
    let kernel = shortest_of(50, || assert_eq!(kernel_wait(&mut array, 1), 0));
    let ours = shortest_of(300, || drop(set.poll(Duration::from_micros(100)).unwrap()));
    assert!(2 * ours < kernel, "100 us took {ours:?}, and 1 ms {kernel:?} in poll(2)");
}

#[test]
fn a_wait_is_about_as_late_as_the_kernels_own() {
    let fds = idle_fds(3);
    let set = set_of(&fds, PollFlags::IN);
    let mut array = array_of(&set.iter().collect::<Vec<_>>());
    let kernel = shortest_of(50, || assert_eq!(kernel_wait(&mut array, 2), 0));
    let ours = shortest_of(50, || drop(set.poll(2 * MILLISECOND).unwrap()));
    assert!(ours < 3 * kernel, "{ours:?}, and {kernel:?} in poll(2)");
}

#[test]
fn a_wait_sleeps_to_its_end() {
    let fds = idle_fds(3);
    for engine in [Engine::Poll, Engine::Epoll] {
        let set = Builder::new().engine(engine).build();
        fds.iter().for_each(|fd| set.register(fd, PollFlags::IN).unwrap());
        let timeout = Duration::from_micros(900);
        let before = processor_time();
        for _ in 0..50 {
            set.poll(timeout).unwrap();
        }
        let spent = processor_time() - before;
        assert!(spent < 50 * timeout / 4, "{spent:?} of work in 50 waits of {timeout:?}");
    }
}

/// What this thread has used.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.try_into().unwrap()
}
