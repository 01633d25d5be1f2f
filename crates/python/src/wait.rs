//! The wait: what may block runs without the interpreter lock, and handlers of signals run in it.

use std::io;

use pollset::{Engine, PollSet, Step, Timeout, Waiting};
use pyo3::prelude::*;

use crate::{capi, errors, interpreter_lock};

/// Waits; returns how many answers there are to take.
///
/// When a signal comes, its handler runs; the wait goes on with what is left of the timeout unless
/// the handler raised (PEP 475).
#[inline]
pub fn wait<'a>(
    py: Python<'_>,
    set: &'a PollSet,
    timeout: Timeout,
) -> PyResult<(Waiting<'a>, usize)> {
    if capi::is_only_thread(py) {
        // To release the lock and to take it back costs as much as a short step.
        run(py, set, timeout, |waiting| {
            if waiting.is_short() { waiting.step() } else { py.detach(|| waiting.step()) }
        })
    } else {
        wait_beside_others(py, set, timeout)
    }
}

#[inline(never)]
fn wait_beside_others<'a>(
    py: Python<'_>,
    set: &'a PollSet,
    timeout: Timeout,
) -> PyResult<(Waiting<'a>, usize)> {
    let keeps_lock = interpreter_lock::begin(py) && is_quick(set);
    let (mut waiting, ready) = run(py, set, timeout, |waiting| {
        if keeps_lock && waiting.is_short() {
            waiting.step()
        } else {
            interpreter_lock::release(py, || waiting.step())
        }
    })?;
    interpreter_lock::end(waiting.slots(), ready);
    Ok((waiting, ready))
}

/// Whether a short step takes less than a microsecond or two: on epoll, the checks of large sets take
/// longer, and poll(2) takes longer the more descriptors there are.
fn is_quick(set: &PollSet) -> bool {
    let most = if set.stats().last_engine == Some(Engine::Epoll) { 2_000 } else { 16 };
    set.len() <= most
}

#[inline(always)]
fn run<'a>(
    py: Python<'_>,
    set: &'a PollSet,
    timeout: Timeout,
    step: impl Fn(&mut Waiting<'a>) -> io::Result<Step>,
) -> PyResult<(Waiting<'a>, usize)> {
    let mut waiting = set.start(timeout).map_err(errors::exception)?;
    loop {
        match step(&mut waiting).map_err(errors::exception)? {
            // A signal may also have come between two system calls.
            Step::Unfinished | Step::Interrupted => py.check_signals()?,
            Step::Ready(ready) => return Ok((waiting, ready)),
        }
    }
}
