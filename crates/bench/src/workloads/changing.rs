//! A set that turns from idle to busy and back.

use std::iter;
use std::time::Duration;

use anyhow::Result;

use super::choice::SUBJECTS;
use crate::measure::{Round, Run, WarmUp, calls_in, thread_cpu_time};
use crate::pollers::{EventLoop, Subject};
use crate::report::{Chart, Kind, Target, Unit};
use crate::watched_fds::WatchedFds;

/// After an untimed one.
const CYCLES: usize = 3;

const CALIBRATION: WarmUp = WarmUp { calls: u32::MAX, max_time: Duration::from_millis(100) };

const TARGET: Target = Target { ratio: 1.25, difference: 0.0 };

/// A phase that takes longer than planned by this factor is cut short, and the time of the missing
/// waits is extrapolated: in the wrong phase a forced engine would take a thousand times as long.
const MAX_FACTOR: u32 = 2;

/// Parts of a phase, between which the clock is read.
const PARTS: u32 = 5_000;

pub fn measure(run: &Run) -> Result<Vec<Chart>> {
    let chart = |name, title| {
        Chart::new(name, title, "descriptors watched", "cycle", Unit::Nanoseconds)
            .with_target(TARGET)
    };
    let mut all = chart("changing", "From one ready to all ready and back");
    let mut half = chart("changing-half", "From one ready to half ready and back");
    let phase = Duration::from_millis(if run.quick { 250 } else { 1_000 });
    let sizes = run.sizes(&[16, 64, 1_000, 9_000]);
    run.set_length(2 * sizes.len(), 1 + CYCLES);
    for n in sizes {
        let sockets = WatchedFds::sockets(n, |index| index == n / 2)?;
        for (chart, step) in [(&mut all, 1), (&mut half, 2)] {
            let changing = (0..n).step_by(step).filter(|&index| index != n / 2).collect();
            add_points(run, chart, phase, n, &Changing { sockets: &sockets, changing })?;
        }
    }
    Ok(vec![all, half])
}

fn add_points(
    run: &Run,
    chart: &mut Chart,
    phase: Duration,
    n: usize,
    sockets: &Changing,
) -> Result<()> {
    let waits = sockets.calibrate(phase)?;
    let mut rounds: Vec<Round<[f64; 2]>> = Vec::new();
    for subject in SUBJECTS {
        let mut event_loop = sockets.watched_by(subject)?;
        rounds.push(Box::new(move || {
            // Untimed: the writes of the other subjects' cycles are on this instance's ready list.
            event_loop.wait_and_rearm(None);
            sockets.cycle(&mut event_loop, |phase_index, wait| {
                time_of_waits(waits[phase_index], MAX_FACTOR * phase, wait)
            })
        }));
    }
    run.interleave(1, &mut rounds)?; // untimed
    let cycles = run.interleave(CYCLES, &mut rounds)?;
    for (subject, cycles) in SUBJECTS.iter().zip(&cycles) {
        let times = cycles.iter().map(|phases| phases.iter().sum()).collect();
        chart.add(subject.name(), subject.kind(), n, times);
    }
    let [_, on_poll, on_epoll] = &cycles[..] else { unreachable!("as many as there are subjects") };
    // The least that any choice between the engines could take.
    chart.add("better engine by phase", Kind::OursForced, n, better_by_phase(on_poll, on_epoll));
    Ok(())
}

/// Sockets, one of which is always ready.
struct Changing<'a> {
    sockets: &'a WatchedFds,
    /// The indices of those that are ready in the busy phase only.
    changing: Vec<usize>,
}

impl Changing<'_> {
    fn watched_by(&self, subject: Subject) -> Result<EventLoop> {
        EventLoop::watching(subject, &self.sockets.raw_fds())
    }

    /// The numbers of waits with which the idle and the busy phase take this long with the better
    /// forced engine.
    fn calibrate(&self, phase: Duration) -> Result<[u32; 2]> {
        let mut waits = [1; 2];
        for subject in [Subject::PollsetOnPoll, Subject::PollsetOnEpoll] {
            let mut event_loop = self.watched_by(subject)?;
            let times = self.cycle(&mut event_loop, |_, wait| CALIBRATION.run(wait))?;
            for (waits, time) in waits.iter_mut().zip(times) {
                *waits = calls_in(phase, time).max(*waits);
            }
        }
        Ok(waits)
    }

    /// Calls `measure` with the index of the phase and with a function that waits: in the idle
    /// phase, then in the busy one. The set is idle again afterwards.
    fn cycle<T>(
        &self,
        event_loop: &mut EventLoop,
        measure: impl Fn(usize, &mut dyn FnMut()) -> T,
    ) -> Result<[T; 2]> {
        let mut measure = |phase, ready| {
            measure(phase, &mut || assert_eq!(event_loop.wait_and_rearm(None), ready))
        };
        let idle = measure(0, 1);
        self.changing.iter().try_for_each(|&index| self.sockets.make_ready(index))?;
        let busy = measure(1, 1 + self.changing.len());
        self.changing.iter().try_for_each(|&index| self.sockets.make_idle(index))?;
        Ok([idle, busy])
    }
}

/// CPU time of this number of waits, in nanoseconds. After `max_time` no more waits are made, and
/// their time is extrapolated.
fn time_of_waits(waits: u32, max_time: Duration, wait: &mut dyn FnMut()) -> f64 {
    let start = thread_cpu_time();
    let mut done = 0;
    loop {
        let part = (waits / PARTS).max(1).min(waits - done);
        (0..part).for_each(|_| wait());
        done += part;
        let elapsed = thread_cpu_time() - start;
        if done == waits || elapsed > max_time {
            return elapsed.as_nanos() as f64 * f64::from(waits) / f64::from(done);
        }
    }
}

/// The times of the cycles with the engine that is better on the whole in each phase.
fn better_by_phase(one: &[[f64; 2]], other: &[[f64; 2]]) -> Vec<f64> {
    let total = |cycles: &[[f64; 2]], phase: usize| -> f64 {
        cycles.iter().map(|times| times[phase]).sum()
    };
    let better =
        [0, 1].map(|phase| if total(one, phase) <= total(other, phase) { one } else { other });
    iter::zip(better[0], better[1]).map(|(idle, busy)| idle[0] + busy[1]).collect()
}

#[cfg(test)]
mod tests {
    use indicatif::ProgressBar;

    use super::*;

    #[test]
    fn a_cycle_is_measured_for_each_subject_and_for_the_better_engines() -> Result<()> {
        let run = Run::new(true, ProgressBar::hidden());
        let mut chart = Chart::new("", "", "", "", Unit::Nanoseconds);
        let sockets = WatchedFds::sockets(4, |index| index == 2)?;
        let changing = Changing { sockets: &sockets, changing: vec![0, 1, 3] };
        add_points(&run, &mut chart, Duration::from_millis(2), 4, &changing)?;
        assert_eq!(chart.series.len(), SUBJECTS.len() + 1);
        for series in chart.series {
            let samples = &series.points[0].samples;
            assert_eq!(samples.len(), CYCLES, "{}", series.subject);
            assert!(samples.iter().all(|&time| time > 0.0), "{}", series.subject);
        }
        Ok(())
    }

    #[test]
    fn the_better_engine_is_chosen_in_each_phase() {
        let on_poll = [[90.0, 2.0], [91.0, 3.0], [9.0, 4.0]];
        let on_epoll = [[10.0, 20.0], [11.0, 1.0], [12.0, 40.0]];
        assert_eq!(better_by_phase(&on_poll, &on_epoll), [12.0, 14.0, 16.0]);
    }

    #[test]
    fn waits_after_the_limit_are_extrapolated() {
        let mut waits = 0;
        let mut wait = || {
            waits += 1;
            let start = thread_cpu_time();
            while thread_cpu_time() - start < Duration::from_millis(1) {}
        };
        let time = time_of_waits(1_000, Duration::from_millis(5), &mut wait);
        assert!(time >= 1e9, "{time}");
        assert!((1..=6).contains(&waits), "{waits}");
    }

    #[test]
    fn all_waits_are_made_within_the_limit() {
        let mut waits = 0;
        time_of_waits(12_345, Duration::from_secs(3_600), &mut || waits += 1);
        assert_eq!(waits, 12_345);
    }
}
