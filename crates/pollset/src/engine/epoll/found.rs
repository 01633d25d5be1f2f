use super::slots::SlotSet;
use crate::Event;

/// Events in the order in which they were found, put into that of the slots.
#[derive(Default)]
pub struct Found {
    events: Vec<(u32, Event)>,
    in_order: bool,
    slots: SlotSet,
    by_slot: Vec<Option<Event>>,
}

/// Up to this many are sorted, which is quicker than walking slots.
const FEW: usize = 32;

impl Found {
    pub fn with_capacity(events: usize) -> Self {
        Self { events: Vec::with_capacity(events), ..Self::default() }
    }

    pub fn clear(&mut self) {
        self.events.clear();
        self.in_order = true;
    }

    pub fn push(&mut self, slot: u32, event: Event) {
        self.in_order &= self.events.last().is_none_or(|&(last, _)| last < slot);
        self.events.push((slot, event));
    }

    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// A few events are sorted. Of many, each is put where its slot is, and the slots are walked,
    /// without comparing them.
    #[inline]
    pub fn put_in_order(&mut self, slots: usize) {
        if self.in_order {
            return;
        }
        if self.events.len() <= FEW {
            self.events.sort_unstable_by_key(|&(slot, _)| slot);
        } else {
            self.put_by_slot(slots);
        }
        self.in_order = true;
    }

    fn put_by_slot(&mut self, slots: usize) {
        self.slots.make_room(slots);
        if self.by_slot.len() < slots {
            self.by_slot.resize(slots, None);
        }
        for (slot, event) in self.events.drain(..) {
            self.slots.insert(slot as usize);
            self.by_slot[slot as usize] = Some(event);
        }
        let Self { events, slots, by_slot, .. } = self;
        slots.drain(|slot| events.extend(by_slot[slot].take().map(|event| (slot as u32, event))));
    }

    pub fn events(&self) -> impl Iterator<Item = Event> + '_ {
        self.events.iter().map(|&(_, event)| event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PollFlags;

    #[test]
    fn few_and_many_come_out_in_the_order_of_their_slots() {
        let mut found = Found::default();
        for count in [0, 1, 2, 32, 33, 500] {
            found.clear();
            for slot in (0..count).map(|i| i * 7 % 501) {
                found.push(slot, Event { fd: slot as i32, revents: PollFlags::IN });
            }
            found.put_in_order(501);
            let fds: Vec<_> = found.events().map(|event| event.fd).collect();
            assert_eq!(fds.len(), count as usize);
            assert!(fds.is_sorted());
        }
    }
}
