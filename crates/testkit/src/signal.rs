//! Signals to one thread: `SIGUSR1`, which a handler counts, and `SIGUSR2`, which is blocked.

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

/// Starts the timer, or stops it if the delay is zero.
fn set_timer(timer: libc::timer_t, delay: Duration, interval: Duration) {
    let timespec = |duration: Duration| {
        // SAFETY: a timespec is integers only (and padding on some systems), for which zero is valid.
        let mut timespec: libc::timespec = unsafe { std::mem::zeroed() };
        timespec.tv_sec = duration.as_secs() as _;
        timespec.tv_nsec = duration.subsec_nanos() as _;
        timespec
    };
    let times = libc::itimerspec { it_interval: timespec(interval), it_value: timespec(delay) };
    // SAFETY: the timer exists as long as the `Alarm` that refers to it, and the times are read
    // before this returns.
    unsafe { libc::timer_settime(timer, 0, &times, std::ptr::null_mut()) };
}

/// Installs the handler of `SIGUSR1`, without `SA_RESTART`.
fn install_handler() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        // SAFETY: all zero is a valid sigaction: no flags, no signals blocked. The handler
        // uses only data of its own thread.
        let outcome = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = count as extern "C" fn(libc::c_int) as libc::sighandler_t;
            libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut())
        };
        assert_eq!(outcome, 0);
    });
}

/// A thread of this process.
#[derive(Clone, Copy)]
pub struct Thread(libc::pid_t);

impl Thread {
    pub fn current() -> Self {
        // SAFETY: it has no preconditions.
        Self(unsafe { libc::gettid() })
    }

    /// Sends `SIGUSR1` to the thread. Does nothing if it has ended.
    pub fn interrupt(self) {
        install_handler();
        // SAFETY: it takes numbers only, and the signal has a handler.
        unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), self.0, libc::SIGUSR1) };
    }

    /// One of the sets of signals in `/proc/self/task/N/status`: `SigPnd`, say. Signal 1 is bit 0.
    pub fn signals(self, set: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/self/task/{}/status", self.0)).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(set)).unwrap();
        u64::from_str_radix(line.trim_start_matches(":\t"), 16).unwrap()
    }
}

/// Sends signals to the thread that created it, until it is dropped. It sends at most 10,000, so
/// that a wait ends even if each signal prolongs it. A thread has one alarm at a time.
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
        // SAFETY: both pointers are to locals of the right types. A sigevent consists of integers,
        // for which zero is valid; this one sends SIGUSR1, which has a handler, to this thread.
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

/// Blocks `SIGUSR2` in this thread and those that it starts later. Returns a set of that signal.
pub fn block_sigusr2() -> libc::sigset_t {
    // SAFETY: all zero is a valid set of signals, and each call gets a pointer to a local.
    unsafe {
        let mut signals: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut signals);
        libc::sigaddset(&mut signals, libc::SIGUSR2);
        libc::pthread_sigmask(libc::SIG_BLOCK, &signals, std::ptr::null_mut());
        signals
    }
}

/// Sends `SIGUSR2` to this thread. The signal stays pending until a signalfd reads it.
pub fn raise_sigusr2() -> io::Result<()> {
    block_sigusr2();
    // SAFETY: it takes numbers only, and the signal is blocked.
    let outcome =
        unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::gettid(), libc::SIGUSR2) };
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
