//! Signals to one thread: `SIGUSR1`, whose handler only counts.

use std::cell::Cell;
use std::sync::Once;
use std::time::Duration;

thread_local! {
    static HANDLED: Cell<usize> = const { Cell::new(0) };
}

/// How many signals this thread has handled.
pub fn handled() -> usize {
    HANDLED.get()
}

extern "C" fn count(_signal: libc::c_int) {
    HANDLED.set(HANDLED.get() + 1);
}

/// Without `SA_RESTART`.
pub fn install_handler() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        // SAFETY: all zero is a valid sigaction: no flags, no signals blocked. The handler only
        // touches an integer of its thread.
        let outcome = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = count as extern "C" fn(libc::c_int) as libc::sighandler_t;
            libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut())
        };
        assert_eq!(outcome, 0);
    });
}

#[derive(Clone, Copy)]
pub struct Thread(libc::pid_t);

impl Thread {
    pub fn current() -> Self {
        // SAFETY: it has no preconditions.
        Self(unsafe { libc::gettid() })
    }

    /// Sends a signal to it. Nothing happens if it has ended.
    pub fn interrupt(self) {
        install_handler();
        // SAFETY: it takes numbers only, and the signal has a handler.
        unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), self.0, libc::SIGUSR1) };
    }
}

/// Interrupts the thread that made it, until it is dropped.
pub struct Alarm(libc::timer_t);

impl Alarm {
    pub fn after(delay: Duration) -> Self {
        Self::start(delay, Duration::ZERO)
    }

    pub fn every(interval: Duration) -> Self {
        Self::start(interval, interval)
    }

    fn start(delay: Duration, interval: Duration) -> Self {
        install_handler();
        let timespec = |duration: Duration| libc::timespec {
            tv_sec: duration.as_secs() as _,
            tv_nsec: duration.subsec_nanos() as _,
        };
        let times = libc::itimerspec {
            it_interval: timespec(interval),
            it_value: timespec(delay),
        };
        let mut timer = std::ptr::null_mut();
        // SAFETY: all pointers are to locals of the right types; a sigevent is integers, for
        // which zero is valid, and says here: SIGUSR1, which has a handler, to this thread.
        let outcome = unsafe {
            let mut target: libc::sigevent = std::mem::zeroed();
            target.sigev_notify = libc::SIGEV_THREAD_ID;
            target.sigev_signo = libc::SIGUSR1;
            target.sigev_notify_thread_id = libc::gettid();
            match libc::timer_create(libc::CLOCK_MONOTONIC, &mut target, &mut timer) {
                0 => libc::timer_settime(timer, 0, &times, std::ptr::null_mut()),
                error => error,
            }
        };
        assert_eq!(outcome, 0, "{}", std::io::Error::last_os_error());
        Self(timer)
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        // SAFETY: the timer exists, and is deleted once.
        unsafe { libc::timer_delete(self.0) };
    }
}
