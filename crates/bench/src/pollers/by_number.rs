use std::os::fd::RawFd;

/// Entries of an array that a system call reads, each found by its descriptor at once.
pub struct ByNumber<E> {
    pub entries: Vec<E>,
    numbers: Vec<RawFd>,
    /// By descriptor.
    places: Vec<usize>,
}

impl<E> Default for ByNumber<E> {
    fn default() -> Self {
        Self { entries: Vec::new(), numbers: Vec::new(), places: Vec::new() }
    }
}

impl<E> ByNumber<E> {
    pub fn add(&mut self, fd: RawFd, entry: E) {
        let index = fd as usize;
        if index >= self.places.len() {
            self.places.resize(index + 1, usize::MAX);
        }
        self.places[index] = self.entries.len();
        self.entries.push(entry);
        self.numbers.push(fd);
    }

    pub fn get_mut(&mut self, fd: RawFd) -> &mut E {
        &mut self.entries[self.places[fd as usize]]
    }

    pub fn remove(&mut self, fd: RawFd) {
        let place = self.places[fd as usize];
        self.entries.swap_remove(place);
        self.numbers.swap_remove(place);
        if let Some(&moved) = self.numbers.get(place) {
            self.places[moved as usize] = place;
        }
    }
}
