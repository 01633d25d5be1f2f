//! Rounds: the subjects of a benchmark take turns, so that drift of the machine affects all alike.

use std::time::Duration;

use anyhow::Result;
use indicatif::ProgressBar;
use rustix::time::{ClockId, clock_gettime};

use crate::pollers::Subject;
use crate::report::{Chart, Kind};

/// Settings and progress of a run.
pub struct Run {
    pub quick: bool,
    progress: ProgressBar,
}

/// Measures one round of one subject and returns the sample.
pub type Round<'a, T> = Box<dyn FnMut() -> Result<T> + 'a>;

impl Run {
    pub fn new(quick: bool, progress: ProgressBar) -> Self {
        Self { quick, progress }
    }

    /// The sizes to measure. A quick run leaves out those above 1,000.
    pub fn sizes(&self, all: &[usize]) -> Vec<usize> {
        all.iter().copied().filter(|&size| size <= 1_000 || !self.quick).collect()
    }

    /// Sets the length of the progress bar: `points` calls of [`interleave`](Self::interleave), of
    /// `rounds` rounds each.
    pub fn set_length(&self, points: usize, rounds: usize) {
        self.progress.set_length((points * rounds) as u64);
    }

    pub fn rounds(&self) -> usize {
        if self.quick { 7 } else { 31 }
    }

    /// Measures `rounds` rounds of each subject in turn; each round starts with another subject.
    /// Returns the samples by subject.
    pub fn interleave<T>(&self, rounds: usize, subjects: &mut [Round<T>]) -> Result<Vec<Vec<T>>> {
        let mut samples: Vec<_> = subjects.iter().map(|_| Vec::with_capacity(rounds)).collect();
        for round in 0..rounds {
            for turn in 0..subjects.len() {
                let index = (round + turn) % subjects.len();
                samples[index].push(subjects[index]()?);
            }
            self.progress.inc(1);
        }
        Ok(samples)
    }

    /// Measures all rounds of each subject, and adds a point at `x` to each one's series.
    pub fn add_points(
        &self,
        chart: &mut Chart,
        x: usize,
        subjects: &[Subject],
        rounds: &mut [Round<f64>],
    ) -> Result<()> {
        let samples = self.interleave(self.rounds(), rounds)?;
        for (subject, samples) in subjects.iter().zip(samples) {
            chart.add(subject.name(), subject.kind(), x, samples);
        }
        Ok(())
    }

    /// Like [`add_points`](Self::add_points) for rounds that yield a sample for each chart.
    pub fn add_points_to_all<const N: usize>(
        &self,
        charts: &mut [Chart; N],
        x: usize,
        subjects: impl IntoIterator<Item = (&'static str, Kind)>,
        rounds: usize,
        measured: &mut [Round<[f64; N]>],
    ) -> Result<()> {
        let samples = self.interleave(rounds, measured)?;
        for ((name, kind), samples) in subjects.into_iter().zip(samples) {
            for (index, chart) in charts.iter_mut().enumerate() {
                let samples = samples.iter().map(|sample| sample[index]).collect();
                chart.add(name, kind, x, samples);
            }
        }
        Ok(())
    }
}

/// Longer than a tick of the coarse clock that paces pollset's audit, so that each round has its
/// share of the audit.
const ROUND: Duration = Duration::from_millis(5);

/// Warms up, and returns a round that repeats the call for some milliseconds. The sample is the CPU
/// time per call, in nanoseconds.
pub fn timed_round<'a>(mut call: impl FnMut() + 'a) -> Round<'a, f64> {
    warm_up(&mut call);
    let mut calls = 1;
    while time(&mut call, calls) < ROUND {
        calls *= 2;
    }
    Box::new(move || {
        catch_up(&mut call, calls);
        Ok(sample(&mut call, calls))
    })
}

/// Like [`timed_round`], but the first round begins with the warm-up and measures the calls right
/// after it. The time of the warm-up decides how many calls a round has.
pub fn timed_round_after<'a>(warm_up: WarmUp, mut call: impl FnMut() + 'a) -> Round<'a, f64> {
    let mut calls = None;
    Box::new(move || {
        if let Some(calls) = calls {
            catch_up(&mut call, calls);
        }
        let calls = *calls.get_or_insert_with(|| calls_in(ROUND, warm_up.run(&mut call)));
        Ok(sample(&mut call, calls))
    })
}

/// The number of calls that take this long, at least one.
pub fn calls_in(time: Duration, nanoseconds_per_call: u128) -> u32 {
    u32::try_from(time.as_nanos() / nanoseconds_per_call).unwrap_or(u32::MAX).max(1)
}

/// pollset's audit re-checks registrations as time passes: the checks that fell due during the other
/// subjects' turns are made here, untimed, and those that fall due in the round are part of its
/// cost. The caches are warm again afterwards, too.
fn catch_up(call: &mut impl FnMut(), calls: u32) {
    time(call, (calls / 4).max(1));
}

/// CPU time per call, in nanoseconds.
fn sample(call: &mut impl FnMut(), calls: u32) -> f64 {
    time(call, calls).as_nanos() as f64 / f64::from(calls)
}

/// Repeats the call until pollset has settled on an engine: it creates an epoll instance only after
/// poll(2) has cost more than the instance would. The steady state is measured.
pub fn warm_up(call: &mut impl FnMut()) {
    WarmUp { calls: 2_000, max_time: Duration::from_secs(1) }.run(call);
}

/// Untimed calls before the first round of a subject.
#[derive(Clone, Copy)]
pub struct WarmUp {
    pub calls: u32,
    /// CPU time after which no more calls are made.
    pub max_time: Duration,
}

impl WarmUp {
    /// Returns the mean time of a call in the longest block, in nanoseconds.
    pub fn run(self, mut call: impl FnMut()) -> u128 {
        let mut rest = self.max_time.as_nanos();
        let (mut calls, mut block) = (0, 1);
        let (mut longest_block, mut mean_of_longest) = (0, 1);
        // The blocks get longer: reading the clock takes as long as a short wait.
        while block > 0 {
            let elapsed = time(&mut call, block).as_nanos();
            let mean = (elapsed / u128::from(block)).max(1);
            if block >= longest_block {
                (longest_block, mean_of_longest) = (block, mean);
            }
            calls += block;
            rest = rest.saturating_sub(elapsed);
            let affordable = u32::try_from(rest / mean).unwrap_or(u32::MAX);
            block = calls.min(self.calls - calls).min(affordable);
        }
        mean_of_longest
    }
}

fn time(call: &mut impl FnMut(), calls: u32) -> Duration {
    let start = thread_cpu_time();
    for _ in 0..calls {
        call();
    }
    thread_cpu_time() - start
}

/// User and system time of this thread. No measured call sleeps, so on an idle machine this is the
/// elapsed time.
pub fn thread_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.try_into().expect("CPU time is not negative")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn calls_of(warm_up: WarmUp, call: impl Fn()) -> u32 {
        let mut calls = 0;
        warm_up.run(&mut || {
            calls += 1;
            call();
        });
        calls
    }

    #[test]
    fn a_warm_up_makes_all_calls_within_its_time() {
        for calls in [1, 2, 3, 1_000] {
            assert_eq!(calls_of(WarmUp { calls, max_time: HOUR }, || {}), calls);
        }
    }

    #[test]
    fn a_warm_up_ends_early_if_calls_take_long() {
        let max_time = Duration::from_millis(5);
        let spin = || {
            let start = thread_cpu_time();
            while thread_cpu_time() - start < Duration::from_millis(1) {}
        };
        let calls = calls_of(WarmUp { calls: 1_000, max_time }, spin);
        assert!((1..=5).contains(&calls), "{calls}");
    }

    #[test]
    fn the_first_round_follows_the_warm_up_at_once() -> Result<()> {
        let calls = std::cell::Cell::new(0);
        let warm_up = WarmUp { calls: 100, max_time: HOUR };
        let mut round = timed_round_after(warm_up, || calls.set(calls.get() + 1));
        assert_eq!(calls.get(), 0);
        round()?;
        let timed = calls.get() - 100;
        round()?;
        assert_eq!(calls.get(), 100 + timed + (timed / 4).max(1) + timed);
        Ok(())
    }

    #[test]
    fn a_round_has_at_least_one_call() {
        assert_eq!(calls_in(ROUND, 1_000), 5_000);
        assert_eq!(calls_in(ROUND, u128::MAX), 1);
    }
}
