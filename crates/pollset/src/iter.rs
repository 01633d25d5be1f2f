//! An iterator over registrations.

use std::iter::FusedIterator;
use std::os::fd::RawFd;
use std::vec;

use crate::PollFlags;

/// The descriptors and masks of a set, in registration order, as they were when
/// [`PollSet::iter`](crate::PollSet::iter) was called.
///
/// ```
/// use pollset::{PollFlags, PollSet};
///
/// let set = PollSet::from_iter([(4, PollFlags::IN), (3, PollFlags::OUT)]);
/// assert_eq!(set.iter().map(|(fd, _)| fd).collect::<Vec<_>>(), [4, 3]);
/// assert_eq!(set.iter().rev().len(), 2);
/// ```
#[derive(Clone, Debug)]
pub struct Iter(vec::IntoIter<(RawFd, PollFlags)>);

impl Iter {
    pub(crate) fn new(registrations: Vec<(RawFd, PollFlags)>) -> Self {
        Self(registrations.into_iter())
    }
}

impl Iterator for Iter {
    type Item = (RawFd, PollFlags);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl DoubleEndedIterator for Iter {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back()
    }
}

impl ExactSizeIterator for Iter {}
impl FusedIterator for Iter {}
