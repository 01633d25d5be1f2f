//! Rings in memory shared with the kernel: writing there changes readiness without a wake-up.

use std::io::{self, Error};
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rustix::io_uring::{
    IORING_OFF_SQ_RING, IORING_OFF_SQES, IoringEnterFlags, io_uring_enter, io_uring_params,
    io_uring_setup,
};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::param::page_size;

use super::anonymous::opened;
use crate::fd::Fd;

const ENTRIES: u32 = 4;

/// A shared mapping of one page of a file.
struct Page(*mut u8);

impl Page {
    fn of(file: BorrowedFd<'_>, offset: u64) -> io::Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address that the kernel chooses touches no memory in use.
        let start = unsafe {
            mmap(ptr::null_mut(), page_size(), protection, MapFlags::SHARED, file, offset)?
        };
        Ok(Self(start.cast()))
    }

    fn word(&self, offset: u32) -> &AtomicU32 {
        assert!(offset as usize + 4 <= page_size() && offset.is_multiple_of(4));
        // SAFETY: it is inside the page, aligned, and mapped while `self` lives.
        unsafe { &*self.0.add(offset as usize).cast() }
    }

    fn long(&self) -> &AtomicU64 {
        // SAFETY: it is the beginning of the page, which is mapped while `self` lives.
        unsafe { &*self.0.cast() }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: the page is no longer borrowed.
        let _ = unsafe { munmap(self.0.cast(), page_size()) };
    }
}

/// The offsets of the head and the tail of the submission queue: the same for all rings.
static OFFSETS: OnceLock<(u32, u32)> = OnceLock::new();

/// An io_uring whose submission queue has room for four entries. They report no completion.
pub fn io_uring() -> io::Result<Fd> {
    const SKIP_COMPLETION: u8 = 1 << 6;
    let mut parameters = io_uring_params::default();
    // SAFETY: the parameters refer to no memory and no other files.
    let ring = Fd::new(unsafe { io_uring_setup(ENTRIES, &mut parameters)? });
    OFFSETS.get_or_init(|| (parameters.sq_off.head, parameters.sq_off.tail));
    let entries = Page::of(ring.as_fd(), IORING_OFF_SQES)?;
    // Every place of the queue refers to entry 0, which is a no-op.
    entries.word(0).store(u32::from_ne_bytes([0, SKIP_COMPLETION, 0, 0]), Ordering::Release);
    Ok(ring)
}

/// Fills the submission queue, or submits all of it.
pub(crate) fn toggle_io_uring(ring: BorrowedFd<'_>) -> io::Result<()> {
    let &(head, tail) = OFFSETS.get().ok_or(io::ErrorKind::NotFound)?;
    let page = Page::of(ring, IORING_OFF_SQ_RING)?;
    let (head, tail) = (page.word(head), page.word(tail));
    let queued = tail.load(Ordering::Acquire).wrapping_sub(head.load(Ordering::Acquire));
    if queued < ENTRIES {
        tail.fetch_add(ENTRIES - queued, Ordering::Release);
        return Ok(());
    }
    // SAFETY: the entries refer to no memory and no files.
    let submitted = unsafe { io_uring_enter(ring, ENTRIES, 0, IoringEnterFlags::empty())? };
    if submitted == ENTRIES { Ok(()) } else { Err(Error::other("not all entries were submitted")) }
}

#[repr(C)]
struct NewMap {
    kind: u32,
    key: u32,
    value: u32,
    entries: u32,
}

fn new_map(map: &NewMap) -> io::Result<Fd> {
    // SAFETY: the attributes are read before this returns, and have the given size.
    let outcome = unsafe { libc::syscall(libc::SYS_bpf, 0, map, size_of::<NewMap>()) };
    Ok(Fd::new(opened(outcome)?))
}

/// A BPF array map, for which poll(2) always reports an error.
pub fn bpf_map() -> io::Result<Fd> {
    const ARRAY: u32 = 2;
    new_map(&NewMap { kind: ARRAY, key: 4, value: 8, entries: 1 })
}

/// A BPF ring buffer.
pub fn bpf_ring_buffer() -> io::Result<Fd> {
    const RINGBUF: u32 = 27;
    new_map(&NewMap { kind: RINGBUF, key: 0, value: 0, entries: page_size() as u32 })
}

/// Makes the ring buffer seem to have data to read, or none.
pub(crate) fn toggle_bpf_ring_buffer(ring: BorrowedFd<'_>) -> io::Result<()> {
    let page = Page::of(ring, 0)?;
    page.long().fetch_xor(8_u64.wrapping_neg(), Ordering::AcqRel);
    Ok(())
}
