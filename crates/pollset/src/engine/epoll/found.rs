//! Slots with something to report, put in order.

/// Slot numbers, in the order in which they were found until they are put in their own.
pub struct FoundSlots {
    found: Vec<u32>,
    /// How many have been taken.
    taken: usize,
    sorter: SlotSet,
}

/// Up to this many are compared with each other, which is quicker than looking at bits.
const FEW: usize = 32;

impl FoundSlots {
    pub const fn new() -> Self {
        Self { found: Vec::new(), taken: 0, sorter: SlotSet::new() }
    }

    pub fn len(&self) -> usize {
        self.found.len()
    }

    #[inline]
    pub fn clear(&mut self) {
        self.found.clear();
        self.taken = 0;
    }

    #[inline]
    pub fn push(&mut self, slot: u32) {
        self.found.push(slot);
    }

    /// Puts them in order, if they are below `end`, and none is there twice.
    #[inline]
    pub fn put_in_order(&mut self, end: usize) {
        if !self.found.is_sorted() {
            self.sort(end);
        }
    }

    #[inline(never)]
    fn sort(&mut self, end: usize) {
        if self.found.len() <= FEW {
            self.found.sort_unstable();
        } else {
            self.sorter.sort(&mut self.found, end);
        }
    }

    /// Room for so many more, to be filled.
    #[inline]
    pub fn add(&mut self, count: usize) -> &mut [u32] {
        let end = self.found.len();
        self.found.resize(end + count, 0);
        &mut self.found[end..]
    }

    /// All that were not taken, in order.
    #[inline]
    pub fn take_all(&mut self) -> &[u32] {
        let taken = std::mem::replace(&mut self.taken, self.found.len());
        &self.found[taken..]
    }

    /// The next one. Each is given once.
    #[inline]
    pub fn take_next(&mut self) -> Option<usize> {
        let next = *self.found.get(self.taken)?;
        self.taken += 1;
        Some(next as usize)
    }
}

/// Sorts without comparing, by a bit for each slot. A second level of bits says where to look, so
/// that a few slots among many are found without looking at all.
struct SlotSet {
    slots: Vec<u64>,
    /// Which words of `slots` are not 0.
    words: Vec<u64>,
}

impl SlotSet {
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

    fn taken(found: &mut FoundSlots) -> Vec<usize> {
        std::iter::from_fn(|| found.take_next()).collect()
    }

    #[test]
    fn few_and_many_come_out_in_order_and_once() {
        let mut found = FoundSlots::new();
        for count in [0, 1, 2, 32, 33, 500, 4_096, 10_006] {
            found.clear();
            // A step that has no divisor in common with the number of slots.
            (0..count).map(|i| i * 7 % 10_007).for_each(|slot| found.push(slot));
            found.put_in_order(10_007);
            assert_eq!(found.len(), count as usize);
            let taken = taken(&mut found);
            assert_eq!(taken.len(), count as usize);
            assert!(taken.is_sorted_by(|a, b| a < b));
            assert_eq!(found.take_next(), None);
        }
    }

    #[test]
    fn room_for_more_is_made_when_it_is_needed() {
        let mut found = FoundSlots::new();
        for end in [40, 64, 65, 5_000, 100_000] {
            found.clear();
            (0..end).rev().for_each(|slot| found.push(slot));
            found.put_in_order(end as usize);
            assert!(taken(&mut found).into_iter().eq(0..end as usize));
        }
    }
}
