#![allow(unsafe_code)]

//! Gives an open number another file.

use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::retry_on_intr;

/// Makes the number `old` refer to the file of `new`. Closed on exec.
pub fn duplicate_to(new: OwnedFd, old: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the number is open while it is borrowed, and is not closed here: the kernel only gives it another
    // file.
    let mut old = ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(old.as_raw_fd()) });
    // rustix has no flag for it on Android.
    #[cfg(all(is_linux, not(target_os = "android")))]
    retry_on_intr(|| rustix::io::dup3(&new, &mut old, rustix::io::DupFlags::CLOEXEC))?;
    #[cfg(any(not(is_linux), target_os = "android"))]
    {
        retry_on_intr(|| rustix::io::dup2(&new, &mut old))?;
        rustix::io::fcntl_setfd(&*old, rustix::io::FdFlags::CLOEXEC)?;
    }
    Ok(())
}
