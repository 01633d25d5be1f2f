//! The type `pollset_t`.

#![allow(unsafe_code)]

use std::alloc::{Layout, alloc};
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::atomic::AtomicBool;

use errno::{errno, set_errno};
use libc::{c_int, c_uint};
use pollset::{Builder, Engine, PollFlags, PollSet};

use crate::call::{call, number, silence_panics};
use crate::own_waker::OwnWaker;

/// For pollset_new(): all waits are on poll(2).
pub const POLLSET_POLL: c_uint = 1;
/// For pollset_new(): all waits are on epoll(7), where it can be used.
pub const POLLSET_EPOLL: c_uint = 2;
/// For pollset_new(): pollset_wake() can be used with the object, which takes a descriptor (two on systems
/// other than Linux).
pub const POLLSET_WAKE: c_uint = 4;
/// For pollset_new(): the program unregisters every descriptor before it closes it. Waits of an object
/// with thousands of descriptors then take less time. A number that is closed all the same may be missing
/// from the results, or have those of its old file, for about a second.
pub const POLLSET_RELAXED_AUDIT: c_uint = 8;

/// A polling object: a set of file descriptors, each with the events that it is watched for.
pub struct pollset_t {
    pub(crate) set: PollSet,
    pub(crate) waker: Option<OwnWaker>,
    /// Descriptors have turns: there was not enough room in the last wait. Only the thread that waits uses it.
    pub(crate) is_in_round: AtomicBool,
}

impl pollset_t {
    /// The object of the crate `pollset` inside.
    #[must_use]
    pub fn rust(&self) -> &PollSet {
        &self.set
    }

    /// The number of descriptors that the program has registered.
    pub(crate) fn length(&self) -> usize {
        self.set.len() - usize::from(self.waker.is_some())
    }

    pub(crate) fn is_waker(&self, fd: c_int) -> bool {
        self.waker.as_ref().is_some_and(|waker| waker.as_raw_fd() == fd)
    }
}

/// Makes a polling object.
///
/// `flags` is 0, or a combination of
///
/// - `POLLSET_WAKE`: pollset_wake() can be used with the object. That takes a descriptor (two on systems
///   other than Linux).
/// - `POLLSET_POLL`: all waits are on poll(2).
/// - `POLLSET_EPOLL`: all waits are on epoll(7), where it can be used. The results are the same.
///   Without this flag and the previous one, each wait is on the one that costs less.
/// - `POLLSET_RELAXED_AUDIT`: the program unregisters every descriptor before it closes it. Waits of an
///   object with thousands of descriptors then take less time. A number that is closed all the same may be
///   missing from the results, or have those of its old file, for about a second.
///
/// An object takes one more descriptor when a wait makes an epoll instance: if it has more than 8
/// descriptors, and waits often, or with `POLLSET_EPOLL`. Several objects are independent of each other.
///
/// # Return value
///
/// The object, to be freed with pollset_free(); or NULL, with `errno` set.
///
/// # Errors
///
/// - `EINVAL`: `flags` has other bits, or both `POLLSET_POLL` and `POLLSET_EPOLL`.
/// - `EMFILE`, `ENFILE`: with `POLLSET_WAKE`, the process or the system has no descriptor left.
/// - `ENOMEM`: there is not enough memory.
///
/// # Attributes
///
/// - Threads: any thread may call it at any time.
/// - Signal handlers: may not call it.
/// - Cancellation: it is no cancellation point.
/// - fork(2): a child has a copy of the object.
#[unsafe(no_mangle)]
pub extern "C" fn pollset_new(flags: c_uint) -> *mut pollset_t {
    let mut set = ptr::null_mut();
    call(|| {
        silence_panics();
        set = new(flags)?;
        Ok(0)
    });
    set
}

fn new(flags: c_uint) -> Result<*mut pollset_t, c_int> {
    let known = POLLSET_POLL | POLLSET_EPOLL | POLLSET_WAKE | POLLSET_RELAXED_AUDIT;
    let engine = match flags & (POLLSET_POLL | POLLSET_EPOLL) {
        0 => None,
        POLLSET_POLL => Some(Engine::Poll),
        POLLSET_EPOLL => Some(Engine::Epoll),
        _ => return Err(libc::EINVAL),
    };
    if flags & !known != 0 {
        return Err(libc::EINVAL);
    }
    let builder = Builder::new().engine(engine);
    let builder =
        if flags & POLLSET_RELAXED_AUDIT != 0 { builder.relaxed_audit() } else { builder };
    let set = builder.build();
    let waker = match flags & POLLSET_WAKE {
        0 => None,
        _ => Some(OwnWaker::new().map_err(|error| number(&error))?),
    };
    if let Some(waker) = &waker {
        set.register(waker, PollFlags::IN).map_err(|error| number(&error))?;
    }
    let new = pollset_t { set, waker, is_in_round: AtomicBool::new(false) };
    // SAFETY: the type has a size. The memory is checked before it is written, and `pollset_free`
    // frees it as a `Box`, which has the same allocator and layout.
    unsafe {
        let memory = alloc(Layout::new::<pollset_t>()).cast::<pollset_t>();
        if memory.is_null() {
            return Err(libc::ENOMEM);
        }
        memory.write(new);
        Ok(memory)
    }
}

/// Frees a polling object, and closes its own descriptors. Registered descriptors stay open. `set` may
/// be NULL. In a forked child, the descriptor of an epoll instance that the parent has made stays open.
///
/// No other function may be using the object, or be called with it later.
///
/// # Attributes
///
/// - Threads: any thread may call it.
/// - Signal handlers: may not call it.
/// - Cancellation: it is no cancellation point.
/// - fork(2): a child frees its own copy of the object. It need not.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pollset_free(set: *mut pollset_t) {
    if set.is_null() {
        return;
    }
    let before = errno();
    call(|| {
        // SAFETY: the caller passes an object that `pollset_new` has made, and no other function uses
        // it any more.
        drop(unsafe { Box::from_raw(set) });
        Ok(0)
    });
    set_errno(before);
}
