//! Bytes on the heap, counted while somebody asks.
//!
//! Everything goes to the system's allocator as it came, so that a list grows in place and zeroed
//! pages come from the kernel: what an allocator that counts adds would be measured, too.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// By this thread, since it was asked.
    static HELD: Cell<Option<isize>> = const { Cell::new(None) };
}

/// The bytes that are held after the call and weren't before.
pub fn held_after(call: impl FnOnce()) -> isize {
    HELD.set(Some(0));
    call();
    HELD.take().expect("it was set above")
}

#[global_allocator]
static COUNTING: Counting = Counting;

struct Counting;

// SAFETY: it is the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        add(-(layout.size() as isize));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        add(size as isize - layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(place, layout, size) }
    }
}

fn add(bytes: isize) {
    if let Some(held) = HELD.get() {
        HELD.set(Some(held + bytes));
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    #[test]
    fn what_grows_shrinks_and_goes_is_counted() {
        let mut kept = Vec::new();
        let held = held_after(|| {
            kept.extend(black_box([1_u8; 100]));
            kept.reserve_exact(900);
            drop(black_box(vec![0_u64; 50]));
            kept.shrink_to_fit();
        });
        assert_eq!(held, 100);
        assert_eq!(held_after(|| drop(kept)), -100);
    }
}
