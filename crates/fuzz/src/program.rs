//! Programs: data, which can be kept in a file.

use std::fmt;
use std::os::fd::RawFd;

use pollset::PollFlags;
use pollset_testkit::kinds::Kind;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What is done to one set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Program(pub Vec<Step>);

/// Chooses one of the numbers that the program has come across so far.
pub type Which = u16;

/// One step of a program. After each the set is compared with the kernel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Step {
    /// Opens files, on the lowest free numbers, and registers them.
    Open(Kind, Mask),
    /// Opens this many, of which few are ready.
    Crowd(Kind, u16, Mask),
    /// Opens another number for the same file.
    Dup(Which),
    /// Writes a few bytes.
    Write(Which),
    /// Writes until there is no more room.
    Fill(Which),
    /// Reads all there is.
    Drain(Which),
    /// Does to a file what is peculiar to its kind, and wakes no waiter: see
    /// [`twist`](pollset_testkit::twist::twist).
    Twist(Which),
    /// Has another thread ask the set once.
    AskElsewhere,
    /// Shuts down the writing half.
    ShutDown(Which),
    /// Closes a number without unregistering it.
    Close(Which),
    /// Closes this many numbers in a row.
    CloseRun(Which, u8),
    /// Puts the file of the first number on the second one, whatever was there.
    Dup2(Which, Which),
    /// Closes a number, opens another file on it, and registers it again with the same mask.
    Reuse(Which, Kind),
    /// Registers a number, or registers it again.
    Register(Which, Mask),
    /// Registers a number that may never have been open.
    RegisterNumber(RawFd, Mask),
    /// Registers the number of the set's own epoll instance.
    RegisterInstance(Mask),
    /// Gives a number another mask, if it is registered.
    Modify(Which, Mask),
    /// Unregisters a number, if it is registered.
    Unregister(Which),
    /// Unregisters this many numbers in a row.
    UnregisterRun(Which, u8),
    /// Waits for so many microseconds, at most.
    Poll(How, u16),
    /// Asks so many times, as a program does that has little else to do.
    PollOften(u16),
    /// Asks until all that was closed must have been found.
    Settle,
    /// Makes a new set of the same descriptors, asks it once and drops it.
    NewSet,
    /// Waits while threads do these things, each its own.
    During(Until, Vec<Vec<Action>>),
    /// Goes on like this in a forked child, and then in the parent.
    Fork(Vec<Step>),
    /// The same in a child that closes everything, and opens this many files on the numbers.
    Daemon(Kind, u8, Vec<Step>),
    /// Forks a child that does nothing but hold copies of all descriptors.
    Hold,
    /// Ends these children.
    LetGo,
    /// Goes on like this while no descriptor can be had.
    Starved(Vec<Step>),
    /// Goes on like this with a signal each so many microseconds.
    Interrupted(u16, Vec<Step>),
    /// Somebody closes the set's epoll instance.
    CloseInstance,
    /// Somebody puts another file on its number.
    ReplaceInstance(Which),
}

impl Step {
    /// Whether it twists a file, or something inside of it does.
    pub(crate) fn twists(&self) -> bool {
        match self {
            Self::Twist(_) => true,
            Self::Fork(steps) | Self::Starved(steps) | Self::Interrupted(_, steps) => {
                steps.iter().any(Self::twists)
            }
            _ => false,
        }
    }
}

/// Which form of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum How {
    /// `PollSet::poll`.
    Poll,
    /// `PollSet::poll_into`, with a list that is not empty.
    Into,
    /// `PollSet::start`, taking one event at a time.
    Steps,
    /// `PollSet::start`, taking up to so many at a time.
    Answers(u8),
}

/// What ends a wait during which something is done.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Until {
    /// It takes so many microseconds, at most.
    Timeout(u16),
    /// A waker, when all is done.
    Woken,
}

/// What a thread does while another one waits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Action {
    /// Nothing, for so many microseconds.
    Sleep(u16),
    /// As [`Step::Register`].
    Register(Which, Mask),
    /// As [`Step::Modify`].
    Modify(Which, Mask),
    /// As [`Step::Unregister`].
    Unregister(Which),
    /// As [`Step::Write`].
    Write(Which),
    /// As [`Step::Close`].
    Close(Which),
    /// As [`Step::Dup2`].
    Dup2(Which, Which),
    /// Waits on the same set, which is refused while the other one waits.
    Poll,
    /// Forks a child that uses the set, and waits until it ends.
    Fork(Which),
}

impl Program {
    /// Reads what `Display` writes: a list of steps in [RON](https://docs.rs/ron).
    ///
    /// # Errors
    ///
    /// If it is something else.
    pub fn parse(text: &str) -> Result<Self, ron::error::SpannedError> {
        ron::from_str(text).map(Self)
    }
}

/// A step a line.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[\n")?;
        for step in &self.0 {
            let line = ron::to_string(step).map_err(|_| fmt::Error)?;
            writeln!(f, "    {line},")?;
        }
        f.write_str("]\n")
    }
}

/// Events, in a file by their names.
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
        fn what_is_written_is_read(program in programs()) {
            prop_assert_eq!(Program::parse(&program.to_string()), Ok(program));
        }
    }
}
