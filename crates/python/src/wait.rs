//! Waits for events: releases the interpreter lock where a call may block, and runs signal
//! handlers.

use std::io;

use pollset::{Engine, PollSet, Step, Timeout, Waiting};
use pyo3::prelude::*;

use crate::{capi, errors, interpreter_lock};

/// Waits, and returns the number of descriptors with events.
///
/// After a signal its handler runs, and the wait continues with the rest of the timeout unless the
/// handler raises an exception (PEP 475).
#[inline]
pub fn wait<'a>(
    py: Python<'_>,
    set: &'a PollSet,
    timeout: Timeout,
) -> PyResult<(Waiting<'a>, usize)> {
    if capi::is_only_thread(py) {
        // Releasing and acquiring the lock costs as much as a short step.
        run_steps(py, set, timeout, |waiting| {
            if waiting.is_short() { waiting.step() } else { py.detach(|| waiting.step()) }
        })
    } else {
        wait_with_other_threads(py, set, timeout)
    }
}

#[inline(never)]
fn wait_with_other_threads<'a>(
    py: Python<'_>,
    set: &'a PollSet,
    timeout: Timeout,
) -> PyResult<(Waiting<'a>, usize)> {
    let keeps_lock = interpreter_lock::begin_wait(py) && has_quick_steps(set);
    let (mut waiting, ready) = run_steps(py, set, timeout, |waiting| {
        if keeps_lock && waiting.is_short() {
            waiting.step()
        } else {
            interpreter_lock::release(py, || waiting.step())
        }
    })?;
    interpreter_lock::end_wait(waiting.slots(), ready);
    Ok((waiting, ready))
}

/// Whether a short step takes at most one or two microseconds. On epoll, the checks of large sets
/// take longer; poll(2) takes longer the more descriptors there are.
fn has_quick_steps(set: &PollSet) -> bool {
    let limit = if set.stats().last_engine == Some(Engine::Epoll) { 2_000 } else { 16 };
    set.len() <= limit
}

#[inline(always)]
fn run_steps<'a>(
    py: Python<'_>,
    set: &'a PollSet,
    timeout: Timeout,
    step: impl Fn(&mut Waiting<'a>) -> io::Result<Step>,
) -> PyResult<(Waiting<'a>, usize)> {
    let mut waiting = set.start(timeout).map_err(errors::exception)?;
    loop {
        match step(&mut waiting).map_err(errors::exception)? {
            Step::Ready(ready) => return Ok((waiting, ready)),
            // A signal may also have arrived between two system calls.
            _ => py.check_signals()?,
        }
    }
}
