//! Programs as data, which can be kept in a file.

use std::fmt;
use std::os::fd::RawFd;

use pollset::PollFlags;
use pollset_testkit::kinds::Kind;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Operations on one set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Program(pub Vec<Op>);

/// Selects one of the descriptors that the program has used so far, modulo their count.
pub type FdIndex = u16;

/// One operation of a program. After each, the set is compared with the kernel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Op {
    /// Opens files on the lowest free descriptors, and registers them.
    Open(Kind, Mask),
    /// Opens and registers this many files.
    OpenMany(Kind, u16, Mask),
    /// Duplicates a descriptor.
    Dup(FdIndex),
    /// Writes a few bytes.
    Write(FdIndex),
    /// Writes until there is no more room.
    Fill(FdIndex),
    /// Reads all data.
    Drain(FdIndex),
    /// Changes the readiness of a file by means special to its kind, mostly without a wake-up: see
    /// [`toggle`](pollset_testkit::toggle::toggle).
    Toggle(FdIndex),
    /// Polls the set once in another thread.
    PollInThread,
    /// Shuts down the writing half.
    ShutDown(FdIndex),
    /// Closes a descriptor without unregistering it.
    Close(FdIndex),
    /// Closes this many descriptors in a row.
    CloseRun(FdIndex, u8),
    /// Duplicates the first descriptor onto the second, which may be open.
    Dup2(FdIndex, FdIndex),
    /// Closes a descriptor, opens another file on it, and registers it again with the same mask.
    Reuse(FdIndex, Kind),
    /// Registers a descriptor, which may be registered already.
    Register(FdIndex, Mask),
    /// Registers a descriptor that may never have been open.
    RegisterRawFd(RawFd, Mask),
    /// Registers the set's own epoll instance.
    RegisterInstance(Mask),
    /// Changes the mask of a descriptor, if it is registered.
    Modify(FdIndex, Mask),
    /// Unregisters a descriptor, if it is registered.
    Unregister(FdIndex),
    /// Unregisters this many descriptors in a row.
    UnregisterRun(FdIndex, u8),
    /// Waits for up to this many microseconds.
    Poll(WaitCall, u16),
    /// Polls this many times in a row with a timeout of zero.
    PollRepeatedly(u16),
    /// Polls until the audit must have found all stale entries.
    AwaitAudit,
    /// Makes another set of the same descriptors, polls it once and drops it.
    NewSet,
    /// Waits while each of these threads runs its actions.
    PollWhile(Until, Vec<Vec<Action>>),
    /// Forks a child that runs these operations, and continues in the parent when it has ended.
    Fork(Vec<Op>),
    /// As [`Op::Fork`], with a child that first closes all descriptors, opens a file of this kind,
    /// and duplicates it this many times.
    Daemon(Kind, u8, Vec<Op>),
    /// Forks a child that does nothing: it holds copies of all descriptors.
    ForkHolder,
    /// Ends these children.
    KillHolders,
    /// Runs these operations with the limit on descriptors lowered to those in use.
    AtFdLimit(Vec<Op>),
    /// Runs these operations with a signal every this many microseconds.
    Interrupted(u16, Vec<Op>),
    /// Closes the set's epoll instance without the set's knowledge.
    CloseInstance,
    /// Duplicates another file onto the descriptor of the set's epoll instance.
    ReplaceInstance(FdIndex),
}

impl Op {
    /// Whether it, or an operation inside it, is [`Op::Toggle`].
    pub(crate) fn has_toggle(&self) -> bool {
        match self {
            Self::Toggle(_) => true,
            Self::Fork(ops) | Self::AtFdLimit(ops) | Self::Interrupted(_, ops) => {
                ops.iter().any(Self::has_toggle)
            }
            _ => false,
        }
    }
}

/// The function that waits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum WaitCall {
    /// `PollSet::poll`.
    Poll,
    /// `PollSet::poll_into`, with a list that is not empty.
    PollInto,
    /// `PollSet::start`, taking one event at a time.
    TakeEach,
    /// `PollSet::start`, taking up to this many events at a time.
    TakeBatch(u8),
    /// `pollset_wait`, with room for this many results, until all descriptors have had their turn.
    InTurn(u8),
}

/// The end of a [`Op::PollWhile`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Until {
    /// A timeout of this many microseconds.
    Timeout(u16),
    /// A waker, after all threads have ended.
    Woken,
}

/// An action of a thread while another thread waits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Action {
    /// Sleeps for this many microseconds.
    Sleep(u16),
    /// As [`Op::Register`].
    Register(FdIndex, Mask),
    /// As [`Op::Modify`].
    Modify(FdIndex, Mask),
    /// As [`Op::Unregister`].
    Unregister(FdIndex),
    /// As [`Op::Write`].
    Write(FdIndex),
    /// As [`Op::Close`].
    Close(FdIndex),
    /// As [`Op::Dup2`].
    Dup2(FdIndex, FdIndex),
    /// Waits on the same set, which fails while the other thread waits.
    Poll,
    /// Forks a child that uses the set, and waits until it ends.
    Fork(FdIndex),
}

impl Program {
    /// Reads the output of `Display`: a list of operations in [RON](https://docs.rs/ron).
    ///
    /// # Errors
    ///
    /// If the text is not such a list.
    pub fn parse(text: &str) -> Result<Self, ron::error::SpannedError> {
        ron::from_str(text).map(Self)
    }
}

/// Writes one operation a line.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[\n")?;
        for op in &self.0 {
            let line = ron::to_string(op).map_err(|_| fmt::Error)?;
            writeln!(f, "    {line},")?;
        }
        f.write_str("]\n")
    }
}

/// A mask of events, written to files by name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mask(pub PollFlags);

impl Serialize for Mask {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut names = String::new();
        bitflags::parser::to_writer(&self.0, &mut names).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&names)
    }
}

impl<'de> Deserialize<'de> for Mask {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = String::deserialize(deserializer)?;
        bitflags::parser::from_str(&names).map(Self).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::Config;

    use super::*;
    use crate::programs;

    proptest! {
        #![proptest_config(Config::with_cases(32))]

        #[test]
        fn parse_reads_the_output_of_display(program in programs()) {
            prop_assert_eq!(Program::parse(&program.to_string()), Ok(program));
        }
    }
}
