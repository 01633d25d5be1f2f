//! Rounds: the subjects of a benchmark take turns, so that drift of the machine affects all alike.

use std::time::Duration;

use anyhow::Result;
use indicatif::ProgressBar;
use rustix::time::{ClockId, clock_gettime};

use crate::pollers::Subject;
use crate::report::Chart;

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
        subjects: &[Subject],
        rounds: usize,
        measured: &mut [Round<[f64; N]>],
    ) -> Result<()> {
        let samples = self.interleave(rounds, measured)?;
        for (subject, samples) in subjects.iter().zip(samples) {
            for (index, chart) in charts.iter_mut().enumerate() {
                let samples = samples.iter().map(|sample| sample[index]).collect();
                chart.add(subject.name(), subject.kind(), x, samples);
            }
        }
        Ok(())
    }
}

/// Warms up, and returns a round that repeats the call for some milliseconds. The sample is the CPU
/// time per call, in nanoseconds.
pub fn timed_round<'a>(mut call: impl FnMut() + 'a) -> Round<'a, f64> {
    // Longer than a tick of the coarse clock that paces pollset's audit, so that each round has its
    // share of the audit.
    const ROUND: Duration = Duration::from_millis(5);

    warm_up(&mut call);
    let mut calls = 1;
    while time(&mut call, calls) < ROUND {
        calls *= 2;
    }
    Box::new(move || {
        // Not timed. pollset's audit re-checks registrations as time passes: the checks that fell
        // due during the other subjects' turns are made here, and those that fall due in this round
        // are part of its cost. The caches are warm again afterwards, too.
        time(&mut call, (calls / 4).max(1));
        Ok(time(&mut call, calls).as_nanos() as f64 / f64::from(calls))
    })
}

/// Repeats the call until pollset has settled on an engine: it creates an epoll instance only after
/// poll(2) has cost more than the instance would. The steady state is measured.
pub fn warm_up(call: &mut impl FnMut()) {
    const MAX_CALLS: u32 = 2_000;
    const MAX_TIME: Duration = Duration::from_millis(200);

    let start = thread_cpu_time();
    for _ in 0..MAX_CALLS {
        call();
        if thread_cpu_time() - start > MAX_TIME {
            break;
        }
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
