//! Performance events.

use std::io;
use std::os::fd::AsRawFd;
use std::ptr;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::param::page_size;

use super::anonymous::opened;
use crate::fd::Fd;

/// A perf event of a thread, with its ring buffer. poll(2) reports its readiness only once.
pub struct PerfEvent {
    pub fd: Fd,
    _pages: Pages,
}

struct Pages(*mut libc::c_void);

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: only the kernel uses the pages.
        let _ = unsafe { munmap(self.0, 2 * page_size()) };
    }
}

/// Records when this thread changes its name.
pub fn perf_event() -> io::Result<PerfEvent> {
    let fd = unmapped_perf_event()?;
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping at an address that the kernel chooses touches no memory in use.
    let pages =
        unsafe { mmap(ptr::null_mut(), 2 * page_size(), protection, MapFlags::SHARED, &fd, 0)? };
    Ok(PerfEvent { fd, _pages: Pages(pages) })
}

impl PerfEvent {
    /// Adds a record, which makes the event readable.
    pub fn add(&self) {
        let mut name = [0_u8; 16];
        // SAFETY: the name has room for 16 bytes, and ends with a zero.
        unsafe {
            libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr());
            libc::prctl(libc::PR_SET_NAME, name.as_ptr());
        }
    }
}

/// A perf event without a ring buffer: hung up.
pub fn unmapped_perf_event() -> io::Result<Fd> {
    #[repr(C)]
    #[derive(Default)]
    struct Attributes {
        kind: u32,
        size: u32,
        event: u64,
        period: u64,
        sample: u64,
        format: u64,
        flags: u64,
        wakeup_watermark: u32,
        breakpoint: u32,
        address: u64,
    }
    const SOFTWARE: u32 = 1;
    const DUMMY: u64 = 9;
    const WITHOUT_KERNEL: u64 = 1 << 5 | 1 << 6;
    const NAMES: u64 = 1 << 9;
    const WATERMARK: u64 = 1 << 14;
    let attributes = Attributes {
        kind: SOFTWARE,
        size: size_of::<Attributes>() as u32,
        event: DUMMY,
        flags: WITHOUT_KERNEL | NAMES | WATERMARK,
        wakeup_watermark: 1,
        ..Attributes::default()
    };
    let (this_thread, any_processor, no_group, on_exec) = (0, -1, -1, 1 << 3);
    // SAFETY: the attributes are read before this returns, and contain their size.
    let outcome = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &attributes,
            this_thread,
            any_processor,
            no_group,
            on_exec,
        )
    };
    Ok(Fd::new(opened(outcome)?))
}

impl AsRawFd for PerfEvent {
    fn as_raw_fd(&self) -> i32 {
        self.fd.number()
    }
}
