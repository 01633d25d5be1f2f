//! Counts the bytes that a function leaves allocated on the heap.
//!
//! The global allocator passes every request to the system's allocator unchanged, `realloc` and
//! `alloc_zeroed` included: so vectors still grow in place and zeroed pages still come from the
//! kernel. An allocator that implemented these itself would add its own cost to the measurements.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Bytes that this thread has allocated and not freed since counting began.
    static NET_BYTES: Cell<Option<isize>> = const { Cell::new(None) };
}

/// The bytes that the call allocates and doesn't free; negative if it frees more.
pub fn net_bytes_allocated(call: impl FnOnce()) -> isize {
    NET_BYTES.set(Some(0));
    call();
    NET_BYTES.take().expect("it was set above")
}

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

struct CountingAllocator;

// SAFETY: every method forwards to the system's allocator.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size() as isize);
        // SAFETY: the caller upholds the contract of the same method.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size() as isize);
        // SAFETY: the caller upholds the contract of the same method.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        add(-(layout.size() as isize));
        // SAFETY: the caller upholds the contract of the same method.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        add(size as isize - layout.size() as isize);
        // SAFETY: the caller upholds the contract of the same method.
        unsafe { System.realloc(ptr, layout, size) }
    }
}

fn add(bytes: isize) {
    if let Some(net) = NET_BYTES.get() {
        NET_BYTES.set(Some(net + bytes));
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    #[test]
    fn grown_shrunk_and_freed_memory_is_counted() {
        let mut kept = Vec::new();
        let bytes = net_bytes_allocated(|| {
            kept.extend(black_box([1_u8; 100]));
            kept.reserve_exact(900);
            drop(black_box(vec![0_u64; 50]));
            kept.shrink_to_fit();
        });
        assert_eq!(bytes, 100);
        assert_eq!(net_bytes_allocated(|| drop(kept)), -100);
    }
}
