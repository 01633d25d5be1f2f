//! Files without a name: signals, faults, processes, events of the file system, filters, memory.

use std::ffi::{CString, c_long};
use std::fs::File;
use std::io::{self, Error};
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;

use pollset::PollFlags;
use rustix::fs::{MemfdFlags, inotify, memfd_create};
use rustix::mm::{UserfaultfdFlags, userfaultfd};
use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open};

use crate::fd::Fd;
use crate::oracle::until_kernel_reports;
use crate::signal;

/// Takes what a system call has returned that opens a file.
pub(super) fn opened(outcome: c_long) -> io::Result<OwnedFd> {
    if outcome < 0 {
        return Err(Error::last_os_error());
    }
    // SAFETY: the call has just opened it, and the number is used here only.
    Ok(unsafe { OwnedFd::from_raw_fd(outcome as i32) })
}

/// Signals that the tests send to one thread: see [`signal::raise_blocked`].
pub fn signals() -> io::Result<Fd> {
    let signals = signal::blocked();
    // SAFETY: the set of signals is read before this returns.
    let outcome = unsafe { libc::signalfd(-1, &signals, libc::SFD_CLOEXEC) };
    Ok(Fd::new(opened(outcome.into())?))
}

/// Faults of pages that are nowhere. It has an error to report as soon as its reads may block.
pub fn page_faults() -> io::Result<Fd> {
    #[repr(C)]
    struct Handshake {
        version: u64,
        features: u64,
        ioctls: u64,
    }
    const UFFDIO_API: libc::Ioctl = 0xc018_aa3f;
    // SAFETY: no memory is registered with it.
    let file = unsafe { userfaultfd(UserfaultfdFlags::CLOEXEC | UserfaultfdFlags::NONBLOCK)? };
    let fd = Fd::new(file);
    let mut handshake = Handshake { version: 0xaa, features: 0, ioctls: 0 };
    // SAFETY: it is the structure that this call reads and writes.
    let outcome = unsafe { libc::ioctl(fd.number(), UFFDIO_API, &mut handshake) };
    if outcome < 0 { Err(Error::last_os_error()) } else { Ok(fd) }
}

/// This process, which lives.
pub fn process() -> io::Result<Fd> {
    Ok(Fd::new(pidfd_open(getpid(), PidfdFlags::empty())?))
}

/// A thread by its descriptor, until it is dropped. Then the thread has ended.
pub struct Worker {
    pub fd: Fd,
    go_on: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Worker {
    /// Has a thread open a descriptor for itself.
    pub fn start(open: fn() -> io::Result<Fd>) -> io::Result<Self> {
        let (give, take) = mpsc::channel();
        let (go_on, wait) = mpsc::channel();
        let thread = thread::spawn(move || {
            give.send(open()).unwrap();
            let _ = wait.recv();
        });
        let fd = take.recv().unwrap()?;
        Ok(Self { fd, go_on: Some(go_on), thread: Some(thread) })
    }

    pub fn end(&mut self) {
        drop(self.go_on.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    /// Ends it, and waits until the kernel says so.
    pub fn ended(mut self, revents: PollFlags) -> Fd {
        self.end();
        until_kernel_reports(&self.fd, PollFlags::IN | PollFlags::HUP, revents);
        let unused = Fd::closed();
        std::mem::replace(&mut self.fd, unused)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
    }
}

pub fn thread() -> io::Result<Worker> {
    Worker::start(|| {
        let of_a_thread = PidfdFlags::from_bits_retain(libc::O_EXCL as u32);
        Ok(Fd::new(pidfd_open(rustix::thread::gettid(), of_a_thread)?))
    })
}

pub fn ended_thread() -> io::Result<Fd> {
    Ok(thread()?.ended(PollFlags::IN | PollFlags::HUP))
}

/// A child of this process.
pub fn child(pid: Pid) -> io::Result<Fd> {
    Ok(Fd::new(pidfd_open(pid, PidfdFlags::empty())?))
}

/// What another process asks about the system calls of a thread that has a filter.
pub fn supervised_thread() -> io::Result<Worker> {
    Worker::start(|| {
        let allow = libc::BPF_RET | libc::BPF_K;
        let mut code =
            [libc::sock_filter { code: allow as u16, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW }];
        let program = libc::sock_fprog { len: 1, filter: code.as_mut_ptr() };
        let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
        // SAFETY: the program is read before this returns. It lets this thread do everything.
        let outcome = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &program)
        };
        Ok(Fd::new(opened(outcome)?))
    })
}

/// The same after the thread has ended: hung up.
pub fn filter_of_ended_thread() -> io::Result<Fd> {
    Ok(supervised_thread()?.ended(PollFlags::HUP))
}

/// A user may have few of them.
pub fn filesystem_watch() -> io::Result<Fd> {
    // SAFETY: it takes flags.
    let outcome = unsafe { libc::fanotify_init(libc::FAN_CLASS_NOTIF | libc::FAN_CLOEXEC, 0) };
    Ok(Fd::new(opened(outcome.into())?))
}

/// One that has an event to read. A user may have few of them.
pub fn file_watch_with_event() -> io::Result<Fd> {
    let directory = tempfile::tempdir()?;
    let watch = Fd::new(inotify::init(inotify::CreateFlags::CLOEXEC)?);
    inotify::add_watch(&watch, directory.path(), inotify::WatchFlags::CREATE)?;
    File::create(directory.path().join("new"))?;
    Ok(watch)
}

/// Has room for one message.
pub fn message_queue() -> io::Result<Fd> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = CString::new(format!("/pollset-{}-{count}", std::process::id()))?;
    let flags = libc::O_CREAT | libc::O_EXCL | libc::O_RDWR | libc::O_CLOEXEC;
    // SAFETY: all zero is a valid mq_attr; the name ends with a zero.
    let outcome = unsafe {
        let mut size: libc::mq_attr = std::mem::zeroed();
        (size.mq_maxmsg, size.mq_msgsize) = (1, 8);
        let queue = libc::mq_open(name.as_ptr(), flags, 0o600, &size);
        libc::mq_unlink(name.as_ptr());
        queue
    };
    Ok(Fd::new(opened(outcome.into())?))
}

pub fn memory() -> io::Result<Fd> {
    Ok(Fd::new(memfd_create("pollset", MemfdFlags::CLOEXEC)?))
}

/// Rules that a thread may restrict itself by.
pub fn ruleset() -> io::Result<Fd> {
    let handled: u64 = 1;
    // SAFETY: the rules are read before this returns, of the size given.
    let outcome = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &handled, 8_usize, 0) };
    Ok(Fd::new(opened(outcome)?))
}
