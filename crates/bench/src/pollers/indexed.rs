use std::os::fd::RawFd;

/// A dense array for a system call, with constant-time lookup of the entry of a descriptor.
pub struct Indexed<E> {
    pub entries: Vec<E>,
    /// The descriptor of each entry.
    fds: Vec<RawFd>,
    /// The index of the entry, by descriptor.
    indices: Vec<usize>,
}

impl<E> Default for Indexed<E> {
    fn default() -> Self {
        Self { entries: Vec::new(), fds: Vec::new(), indices: Vec::new() }
    }
}

impl<E> Indexed<E> {
    pub fn add(&mut self, fd: RawFd, entry: E) {
        let key = fd as usize;
        if key >= self.indices.len() {
            self.indices.resize(key + 1, usize::MAX);
        }
        self.indices[key] = self.entries.len();
        self.entries.push(entry);
        self.fds.push(fd);
    }

    pub fn get_mut(&mut self, fd: RawFd) -> &mut E {
        &mut self.entries[self.indices[fd as usize]]
    }

    pub fn remove(&mut self, fd: RawFd) {
        let index = self.indices[fd as usize];
        self.entries.swap_remove(index);
        self.fds.swap_remove(index);
        if let Some(&moved) = self.fds.get(index) {
            self.indices[moved as usize] = index;
        }
    }
}
