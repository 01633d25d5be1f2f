//! Serial numbers of additions to an epoll instance.

use crate::sys::clock::now;

/// Consecutive numbers, none of which is 0. The clock decides the first one, so that instances of
/// the same process have different ones: each event carries a serial, which identifies the instance
/// and the entry.
pub struct Serials {
    first: u32,
    next: u32,
}

/// An instance has fewer, so that none is assigned twice.
const COUNT: u32 = 1 << 31;

impl Serials {
    pub fn new() -> Self {
        // Spreads the ranges of instances that are opened soon after each other.
        let first = (now().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32 % COUNT + 1;
        Self { first, next: first }
    }

    pub fn allocate(&mut self) -> u32 {
        let serial = self.next;
        self.next += 1;
        serial
    }

    /// Whether it was allocated.
    pub fn contains(&self, serial: u32) -> bool {
        (self.first..self.next).contains(&serial)
    }

    /// Whether fewer than `count` are left, so that the instance needs a new range.
    pub fn are_exhausted(&self, count: usize) -> bool {
        COUNT - 1 - (self.next - self.first) < count.try_into().unwrap_or(COUNT)
    }
}

#[cfg(test)]
impl Serials {
    /// The one that is allocated next.
    pub fn next(&self) -> u32 {
        self.next
    }

    pub fn with_one_left() -> Self {
        Self { first: COUNT, next: COUNT + (COUNT - 2) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_are_unique_and_not_0() {
        let mut serials = Serials::new();
        assert!(!serials.contains(serials.next()));
        let first = serials.next();
        for i in 0..1_000 {
            let serial = serials.allocate();
            assert_eq!(serial, first + i);
            assert!(serial != 0);
            assert!(serials.contains(serial) && !serials.contains(serials.next()));
        }
        assert!(!serials.contains(first - 1));
    }

    #[test]
    fn they_are_exhausted_before_one_is_allocated_twice() {
        let mut serials = Serials::with_one_left();
        assert!(!serials.are_exhausted(1));
        assert!(serials.allocate() < u32::MAX);
        assert!(serials.are_exhausted(1));
    }

    #[test]
    fn instances_have_different_ranges() {
        let [one, other] = [(); 2].map(|()| (0..16).map(|_| Serials::new().next()));
        assert!(!one.eq(other));
    }
}
