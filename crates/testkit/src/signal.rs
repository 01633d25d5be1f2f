//! Signals to one thread: `SIGUSR1`, whose handler only counts, and `SIGUSR2`, which is blocked.

use std::cell::Cell;
use std::io;
use std::sync::Once;
use std::time::Duration;

thread_local! {
    static HANDLED: Cell<usize> = const { Cell::new(0) };
    static ALARM: Cell<Option<Running>> = const { Cell::new(None) };
}

#[derive(Clone, Copy)]
struct Running {
    timer: libc::timer_t,
    signals_left: usize,
}

/// How many signals this thread has handled.
pub fn handled() -> usize {
    HANDLED.get()
}

extern "C" fn count(_signal: libc::c_int) {
    HANDLED.set(HANDLED.get() + 1);
    ALARM.set(
        ALARM
            .get()
            .map(|alarm| Running { signals_left: alarm.signals_left.saturating_sub(1), ..alarm }),
    );
    if let Some(alarm) = ALARM.get()
        && alarm.signals_left == 0
    {
        set_timer(alarm.timer, Duration::ZERO, Duration::ZERO);
    }
}

/// A delay of zero stops it.
fn set_timer(timer: libc::timer_t, delay: Duration, interval: Duration) {
    let timespec = |duration: Duration| libc::timespec {
        tv_sec: duration.as_secs() as _,
        tv_nsec: duration.subsec_nanos() as _,
    };
    let times = libc::itimerspec { it_interval: timespec(interval), it_value: timespec(delay) };
    // SAFETY: the timer exists, since only an `Alarm` that lives knows one, and the times are read
    // before this returns.
    unsafe { libc::timer_settime(timer, 0, &times, std::ptr::null_mut()) };
}

/// Without `SA_RESTART`.
pub fn install_handler() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        // SAFETY: all zero is a valid sigaction: no flags, no signals blocked. The handler
        // touches only what is its thread's own.
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

/// Interrupts the thread that made it, until it is dropped; or 10,000 times, so that a wait that
/// each signal prolongs ends nevertheless. One at a time.
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
        let mut timer = std::ptr::null_mut();
        // SAFETY: both pointers are to locals of the right types; a sigevent is integers, for
        // which zero is valid, and says here: SIGUSR1, which has a handler, to this thread.
        let outcome = unsafe {
            let mut target: libc::sigevent = std::mem::zeroed();
            target.sigev_notify = libc::SIGEV_THREAD_ID;
            target.sigev_signo = libc::SIGUSR1;
            target.sigev_notify_thread_id = libc::gettid();
            libc::timer_create(libc::CLOCK_MONOTONIC, &mut target, &mut timer)
        };
        assert_eq!(outcome, 0, "{}", std::io::Error::last_os_error());
        let signals_left = 10_000;
        ALARM.set(Some(Running { timer, signals_left }));
        set_timer(timer, delay, interval);
        Self(timer)
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        ALARM.set(None);
        // SAFETY: the timer exists, and is deleted once.
        unsafe { libc::timer_delete(self.0) };
    }
}

/// `SIGUSR2` alone, which this thread and those that it starts from now on block.
pub fn blocked() -> libc::sigset_t {
    // SAFETY: all zero is a valid set of signals, and each call gets one that lives.
    unsafe {
        let mut signals: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut signals);
        libc::sigaddset(&mut signals, libc::SIGUSR2);
        libc::pthread_sigmask(libc::SIG_BLOCK, &signals, std::ptr::null_mut());
        signals
    }
}

/// Sends `SIGUSR2` to this thread. It stays pending until it is read.
pub fn raise_blocked() -> io::Result<()> {
    blocked();
    // SAFETY: it takes numbers only, and the signal is blocked.
    let outcome =
        unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::gettid(), libc::SIGUSR2) };
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
