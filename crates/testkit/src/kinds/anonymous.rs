//! Files without a path: signalfd, userfaultfd, pidfd, inotify, fanotify, seccomp listeners,
//! message queues, memfd, Landlock rulesets.

use std::ffi::{CString, c_long};
use std::fs::File;
use std::io::{self, Error};
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;

use pollset::PollFlags;
use rustix::fs::{MemfdFlags, inotify, memfd_create};
use rustix::mm::UserfaultfdFlags;
use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open};

use crate::fd::Fd;
use crate::oracle::wait_for_revents;
use crate::signal;

/// The descriptor that a system call has opened, or its error.
pub(super) fn opened(outcome: c_long) -> io::Result<OwnedFd> {
    if outcome < 0 {
        return Err(Error::last_os_error());
    }
    // SAFETY: the call has just opened it, and it has no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(outcome as i32) })
}

/// A signalfd for the signal of [`signal::raise_sigusr2`].
pub fn signalfd() -> io::Result<Fd> {
    let signals = signal::block_sigusr2();
    // SAFETY: the set of signals is read before this returns.
    let outcome = unsafe { libc::signalfd(-1, &signals, libc::SFD_CLOEXEC) };
    Ok(Fd::new(opened(outcome.into())?))
}

/// A userfaultfd without memory. poll(2) reports an error while its reads may block.
pub fn userfaultfd() -> io::Result<Fd> {
    #[repr(C)]
    struct Handshake {
        version: u64,
        features: u64,
        ioctls: u64,
    }
    const UFFDIO_API: libc::Ioctl = 0xc018_aa3f_u32 as libc::Ioctl; // signed with musl
    // SAFETY: no memory is registered with it.
    let file =
        unsafe { rustix::mm::userfaultfd(UserfaultfdFlags::CLOEXEC | UserfaultfdFlags::NONBLOCK)? };
    let fd = Fd::new(file);
    let mut handshake = Handshake { version: 0xaa, features: 0, ioctls: 0 };
    // SAFETY: this call reads and writes such a structure.
    let outcome = unsafe { libc::ioctl(fd.number(), UFFDIO_API, &mut handshake) };
    if outcome < 0 { Err(Error::last_os_error()) } else { Ok(fd) }
}

/// A pidfd of this process.
pub fn pidfd_of_self() -> io::Result<Fd> {
    Ok(Fd::new(pidfd_open(getpid(), PidfdFlags::empty())?))
}

/// A thread, and a descriptor that depends on it. Dropping it ends the thread.
pub struct Worker {
    pub fd: Fd,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Worker {
    /// Starts a thread that opens the descriptor.
    pub fn start(open: fn() -> io::Result<Fd>) -> io::Result<Self> {
        let (opened, receiver) = mpsc::channel();
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            opened.send(open()).unwrap();
            let _ = stopped.recv();
        });
        let fd = receiver.recv().unwrap()?;
        Ok(Self { fd, stop: Some(stop), thread: Some(thread) })
    }

    pub fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    /// Ends the thread, and waits until the kernel reports `revents`.
    pub fn ended(mut self, revents: PollFlags) -> Fd {
        self.end();
        wait_for_revents(&self.fd, PollFlags::IN | PollFlags::HUP, revents);
        let unused = Fd::closed();
        std::mem::replace(&mut self.fd, unused)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
    }
}

/// A thread with its pidfd.
pub fn pidfd_of_thread() -> io::Result<Worker> {
    Worker::start(|| {
        let pidfd_thread = PidfdFlags::from_bits_retain(libc::O_EXCL as u32);
        Ok(Fd::new(pidfd_open(rustix::thread::gettid(), pidfd_thread)?))
    })
}

/// A pidfd of a thread that has ended.
pub fn pidfd_of_ended_thread() -> io::Result<Fd> {
    Ok(pidfd_of_thread()?.ended(PollFlags::IN | PollFlags::HUP))
}

/// A pidfd of a child of this process.
pub fn pidfd_of_child(pid: Pid) -> io::Result<Fd> {
    Ok(Fd::new(pidfd_open(pid, PidfdFlags::empty())?))
}

/// A thread with a seccomp filter, and the listener of the filter.
pub fn thread_with_seccomp() -> io::Result<Worker> {
    Worker::start(|| {
        let allow = libc::BPF_RET | libc::BPF_K;
        let mut code =
            [libc::sock_filter { code: allow as u16, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW }];
        let program = libc::sock_fprog { len: 1, filter: code.as_mut_ptr() };
        let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
        // SAFETY: the program is read before this returns. It allows all system calls.
        let outcome = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &program)
        };
        Ok(Fd::new(opened(outcome)?))
    })
}

/// A seccomp listener whose thread has ended: hung up.
pub fn seccomp_of_ended_thread() -> io::Result<Fd> {
    Ok(thread_with_seccomp()?.ended(PollFlags::HUP))
}

/// A fanotify descriptor. The kernel limits their number per user.
pub fn fanotify() -> io::Result<Fd> {
    // SAFETY: it takes flags.
    let outcome = unsafe { libc::fanotify_init(libc::FAN_CLASS_NOTIF | libc::FAN_CLOEXEC, 0) };
    Ok(Fd::new(opened(outcome.into())?))
}

/// An inotify descriptor with an event to read. The kernel limits their number per user.
pub fn inotify_with_event() -> io::Result<Fd> {
    let directory = tempfile::tempdir()?;
    let watch = Fd::new(inotify::init(inotify::CreateFlags::CLOEXEC)?);
    inotify::add_watch(&watch, directory.path(), inotify::WatchFlags::CREATE)?;
    File::create(directory.path().join("new"))?;
    Ok(watch)
}

/// A message queue with room for one message.
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

pub fn memfd() -> io::Result<Fd> {
    Ok(Fd::new(memfd_create("pollset", MemfdFlags::CLOEXEC)?))
}

pub fn landlock_ruleset() -> io::Result<Fd> {
    let handled: u64 = 1;
    // SAFETY: the attributes are read before this returns, and have the given size.
    let outcome = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &handled, 8_usize, 0) };
    Ok(Fd::new(opened(outcome)?))
}
