//! A set of slot numbers that gives them back in order.

/// Two levels of bits, so that a few slots among many are found without looking at all.
#[derive(Default)]
pub struct SlotSet {
    slots: Vec<u64>,
    /// Which words of `slots` are not 0.
    words: Vec<u64>,
}

impl SlotSet {
    /// Makes room for slots below `len`.
    pub fn make_room(&mut self, len: usize) {
        let words = len.div_ceil(64);
        if self.slots.len() < words {
            self.slots.resize(words, 0);
            self.words.resize(words.div_ceil(64), 0);
        }
    }

    pub fn insert(&mut self, slot: usize) {
        let word = slot / 64;
        self.slots[word] |= 1 << (slot % 64);
        self.words[word / 64] |= 1 << (word % 64);
    }

    /// Takes all slots out, the lowest first.
    pub fn drain(&mut self, mut each: impl FnMut(usize)) {
        for (high, words) in self.words.iter_mut().enumerate() {
            for_each_bit(std::mem::take(words), |low| {
                let word = high * 64 + low;
                for_each_bit(std::mem::take(&mut self.slots[word]), |bit| each(word * 64 + bit));
            });
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

    fn drained(set: &mut SlotSet) -> Vec<usize> {
        let mut slots = Vec::new();
        set.drain(|slot| slots.push(slot));
        slots
    }

    #[test]
    fn slots_come_out_in_order_and_once() {
        let mut set = SlotSet::default();
        set.make_room(20_000);
        for slot in [19_999, 0, 63, 64, 4_095, 4_096, 64, 12_345] {
            set.insert(slot);
        }
        assert_eq!(drained(&mut set), [0, 63, 64, 4_095, 4_096, 12_345, 19_999]);
        assert_eq!(drained(&mut set), []);
    }

    #[test]
    fn room_for_more_keeps_what_is_in() {
        let mut set = SlotSet::default();
        set.make_room(1);
        set.insert(0);
        set.make_room(100_000);
        set.insert(99_999);
        assert_eq!(drained(&mut set), [0, 99_999]);
    }
}
