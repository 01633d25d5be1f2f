//! What all functions have around them.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::io;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::OnceLock;

use errno::{Errno, errno, set_errno};
use libc::c_int;

thread_local! {
    /// Whether the thread is in a function of the interface.
    static IS_IN_CALL: Cell<bool> = const { Cell::new(false) };
}

/// Runs a function of the interface: returns its value; or -1, with `errno` set. No panic leaves it, and
/// the thread isn't cancelled in it: also to wait for a lock may be a cancellation point.
#[inline]
pub fn call(function: impl FnOnce() -> Result<c_int, c_int>) -> c_int {
    let _uncancelled = Uncancelled::new();
    IS_IN_CALL.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(function));
    IS_IN_CALL.set(false);
    let error = match outcome {
        Ok(Ok(value)) => return value,
        Ok(Err(error)) => error,
        Err(_) => libc::ENOTRECOVERABLE,
    };
    set_errno(Errno(error));
    -1
}

/// Runs a function that doesn't panic, also in a signal handler: if it succeeds, it leaves `errno` as it was.
///
/// Without the variable of the thread: where the library was loaded by dlopen(3), the first use of such a variable
/// in a thread allocates memory.
pub fn call_in_handler(function: impl FnOnce() -> Result<(), c_int>) -> c_int {
    let _uncancelled = Uncancelled::new();
    let before = errno();
    match function() {
        Ok(()) => {
            set_errno(before);
            0
        }
        Err(error) => {
            set_errno(Errno(error));
            -1
        }
    }
}

/// A library prints nothing, also if it has a defect. Other Rust code of the process may use the same
/// hook, and goes on to print. Allocates no memory, unless that code has set a hook.
pub fn silence_panics() {
    static BEFORE: OnceLock<PanicHook> = OnceLock::new();
    BEFORE.get_or_init(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(|panic| {
            // None: another thread is about to set it.
            if let (false, Some(before)) = (IS_IN_CALL.get(), BEFORE.get()) {
                before(panic);
            }
        }));
        before
    });
}

type PanicHook = Box<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

/// The number of an error of the system or of the crate `pollset`.
pub fn number(error: &io::Error) -> c_int {
    error.raw_os_error().unwrap_or(match error.kind() {
        io::ErrorKind::ResourceBusy => libc::EBUSY,
        io::ErrorKind::OutOfMemory => libc::ENOMEM,
        io::ErrorKind::Unsupported => libc::ENOSYS,
        _ => libc::EINVAL,
    })
}

/// While it exists, the thread isn't cancelled. That would unwind the stack through Rust's frames, and
/// leave the object in use.
struct Uncancelled {
    #[cfg(not(target_os = "android"))]
    before: c_int,
}

#[cfg(not(target_os = "android"))]
impl Uncancelled {
    #[inline]
    fn new() -> Self {
        let mut before = 0;
        // SAFETY: the call writes the previous state to `before`.
        unsafe { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &mut before) };
        Self { before }
    }
}

#[cfg(not(target_os = "android"))]
impl Drop for Uncancelled {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: POSIX lets the second argument be null on all systems that have it so; where it
        // doesn't, the systems do.
        unsafe { pthread_setcancelstate(self.before, std::ptr::null_mut()) };
    }
}

/// Android has no cancellation.
#[cfg(target_os = "android")]
impl Uncancelled {
    fn new() -> Self {
        Self {}
    }
}

#[cfg(not(target_os = "android"))]
const PTHREAD_CANCEL_DISABLE: c_int = if cfg!(target_vendor = "apple") { 0 } else { 1 };

#[cfg(not(target_os = "android"))]
unsafe extern "C" {
    fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_without_a_message() {
        silence_panics();
        assert_eq!(call(|| panic!("not to be seen")), -1);
        assert_eq!(errno().0, libc::ENOTRECOVERABLE);
        assert_eq!(call(|| Ok(7)), 7);
    }

    #[test]
    fn errors_have_numbers() {
        for (error, expected) in [
            (io::ErrorKind::ResourceBusy.into(), libc::EBUSY),
            (io::ErrorKind::OutOfMemory.into(), libc::ENOMEM),
            (io::ErrorKind::Unsupported.into(), libc::ENOSYS),
            (io::Error::from_raw_os_error(libc::EMFILE), libc::EMFILE),
        ] {
            assert_eq!(number(&error), expected);
        }
    }
}
