//! The slots that are ready, in order (H).

/// Slot numbers: in the order of the events at first, and in ascending order once they are sorted.
pub struct ReadySlots {
    slots: Vec<u32>,
    taken: usize,
    bitmap: Bitmap,
}

/// Up to this many are sorted by comparison, which is faster than by the bitmap.
const FEW: usize = 32;

impl ReadySlots {
    pub const fn new() -> Self {
        Self { slots: Vec::new(), taken: 0, bitmap: Bitmap::new() }
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    #[inline]
    pub fn clear(&mut self) {
        self.slots.clear();
        self.taken = 0;
    }

    #[inline]
    pub fn push(&mut self, slot: u32) {
        self.slots.push(slot);
    }

    /// Sorts them. They are below `end`, and none is there twice.
    #[inline]
    pub fn sort(&mut self, end: usize) {
        if self.slots.len() > 1 {
            self.sort_several(end);
        }
    }

    #[inline(never)]
    fn sort_several(&mut self, end: usize) {
        match self.slots.len() {
            _ if self.slots.is_sorted() => {}
            ..=FEW => self.slots.sort_unstable(),
            _ => self.bitmap.sort(&mut self.slots, end),
        }
    }

    /// Appends `count` places, which the caller fills.
    #[inline]
    pub fn add(&mut self, count: usize) -> &mut [u32] {
        let end = self.slots.len();
        self.slots.resize(end + count, 0);
        &mut self.slots[end..]
    }

    /// All that were not taken, in order.
    #[inline]
    pub fn take_all(&mut self) -> &[u32] {
        let taken = std::mem::replace(&mut self.taken, self.slots.len());
        &self.slots[taken..]
    }

    /// The next one. Each is returned once.
    #[cfg(feature = "bindings")]
    #[inline]
    pub fn take_next(&mut self) -> Option<usize> {
        let next = self.next()?;
        self.taken += 1;
        Some(next)
    }

    #[cfg(feature = "bindings")]
    pub fn next(&self) -> Option<usize> {
        self.slots.get(self.taken).map(|&slot| slot as usize)
    }
}

/// Sorts by a bit for each slot. A second level has a bit for each word of the first one that is not
/// 0, so that a few slots among many are found without a search.
struct Bitmap {
    slots: Vec<u64>,
    words: Vec<u64>,
}

impl Bitmap {
    const fn new() -> Self {
        Self { slots: Vec::new(), words: Vec::new() }
    }

    fn sort(&mut self, list: &mut Vec<u32>, end: usize) {
        self.make_room(end);
        for slot in list.drain(..) {
            let word = slot as usize / 64;
            self.slots[word] |= 1 << (slot % 64);
            self.words[word / 64] |= 1 << (word % 64);
        }
        for (high, words) in self.words.iter_mut().enumerate() {
            for_each_bit(std::mem::take(words), |low| {
                let word = high * 64 + low;
                let bits = std::mem::take(&mut self.slots[word]);
                for_each_bit(bits, |bit| list.push((word * 64 + bit) as u32));
            });
        }
    }

    fn make_room(&mut self, end: usize) {
        let words = end.div_ceil(64);
        if self.slots.len() < words {
            self.slots.resize(words, 0);
            self.words.resize(words.div_ceil(64), 0);
        }
    }
}

fn for_each_bit(mut bits: u64, mut each: impl FnMut(usize)) {
    while bits != 0 {
        each(bits.trailing_zeros() as usize);
        bits &= bits - 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(ready: &mut ReadySlots) -> Vec<usize> {
        std::iter::from_fn(|| ready.take_next()).collect()
    }

    #[test]
    fn few_and_many_slots_are_sorted() {
        let mut ready = ReadySlots::new();
        for count in [0, 1, 2, 32, 33, 500, 4_096, 10_006] {
            ready.clear();
            // 7 and the number of slots have no common divisor.
            (0..count).map(|i| i * 7 % 10_007).for_each(|slot| ready.push(slot));
            ready.sort(10_007);
            assert_eq!(ready.len(), count as usize);
            let taken = taken(&mut ready);
            assert_eq!(taken.len(), count as usize);
            assert!(taken.is_sorted_by(|a, b| a < b));
            assert_eq!(ready.take_next(), None);
        }
    }

    #[test]
    fn bitmap_grows_with_the_slots() {
        let mut ready = ReadySlots::new();
        for end in [40, 64, 65, 5_000, 100_000] {
            ready.clear();
            (0..end).rev().for_each(|slot| ready.push(slot));
            ready.sort(end as usize);
            assert!(taken(&mut ready).into_iter().eq(0..end as usize));
        }
    }
}
