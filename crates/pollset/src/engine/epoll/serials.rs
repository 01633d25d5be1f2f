//! Serial numbers of additions to an epoll instance.

use crate::sys::epoll::now;

/// Numbers from one upwards that the time decides, so that no other instance of the process gives
/// the same ones: each event brings one back, and so says whose it is. None is 0.
pub struct Serials {
    first: u32,
    next: u32,
}

/// How many there are before one might come twice.
const COUNT: u32 = 1 << 31;

impl Serials {
    pub fn new() -> Self {
        // Those that begin soon after each other are far apart.
        let first = (now().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32 % COUNT + 1;
        Self { first, next: first }
    }

    /// Gives the next one.
    pub fn give(&mut self) -> u32 {
        let serial = self.next;
        self.next += 1;
        serial
    }

    /// Whether it was given.
    pub fn contains(&self, serial: u32) -> bool {
        (self.first..self.next).contains(&serial)
    }

    /// Whether it is time to start over.
    #[inline]
    pub fn are_used_up(&self) -> bool {
        self.next - self.first >= COUNT - 1
    }
}

#[cfg(test)]
impl Serials {
    /// The one that is given next.
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
    fn each_is_given_once_and_none_is_0() {
        let mut serials = Serials::new();
        assert!(!serials.contains(serials.next()));
        let first = serials.next();
        for i in 0..1_000 {
            let given = serials.give();
            assert_eq!(given, first + i);
            assert!(given != 0 && serials.contains(given) && !serials.contains(serials.next()));
        }
        assert!(!serials.contains(first - 1));
    }

    #[test]
    fn they_end_before_one_comes_twice() {
        let mut serials = Serials::with_one_left();
        assert!(!serials.are_used_up());
        assert!(serials.give() < u32::MAX);
        assert!(serials.are_used_up());
    }

    #[test]
    fn two_instances_give_different_ones() {
        let [one, other] = [(); 2].map(|()| (0..16).map(|_| Serials::new().next()));
        assert!(!one.eq(other));
    }
}
