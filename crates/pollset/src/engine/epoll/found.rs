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

    /// Without comparing: each event is put where its slot is, and the slots are walked.
    pub fn put_in_order(&mut self, slots: usize) {
        if self.in_order {
            return;
        }
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
        self.in_order = true;
    }

    pub fn events(&self) -> impl Iterator<Item = Event> + '_ {
        self.events.iter().map(|&(_, event)| event)
    }
}
