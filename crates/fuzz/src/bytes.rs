//! Programs made of bytes, for a coverage-guided fuzzer. They are bounded: each takes milliseconds.

use arbitrary::{Arbitrary, Result, Unstructured};
use pollset::PollFlags;
use pollset_testkit::kinds::Kind;

use crate::{Action, Mask, Op, Program, Until};

impl<'a> Arbitrary<'a> for Program {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let mut ops: Vec<Op> = bytes.arbitrary_iter()?.map_while(Result::ok).collect();
        Budget { ops: 40, forks: 3, waits: 3_000 }.limit(&mut ops);
        Ok(Self(ops))
    }
}

impl<'a> Arbitrary<'a> for Mask {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self(PollFlags::from_bits_retain(bytes.arbitrary()?)))
    }
}

/// What a program may still contain, at all levels of nesting together.
struct Budget {
    ops: u16,
    forks: u16,
    waits: u16,
}

impl Budget {
    fn limit(&mut self, ops: &mut Vec<Op>) {
        ops.retain_mut(|op| take_one(&mut self.ops) && self.limit_op(op));
    }

    /// Returns whether the budget allows the operation.
    fn limit_op(&mut self, op: &mut Op) -> bool {
        match op {
            Op::OpenMany(kind, count, _) => {
                *count %= 300;
                // A process can't have that many files of the other kinds.
                if !matches!(kind, Kind::Pipe | Kind::SocketPair | Kind::Timerfd) {
                    *kind = Kind::Eventfd;
                }
            }
            Op::RegisterRawFd(fd, _) => *fd &= i32::MAX,
            Op::Poll(_, us) => *us %= 600,
            Op::PollRepeatedly(count) => {
                *count = (*count % 600).min(self.waits);
                self.waits -= *count;
            }
            Op::PollWhile(until, threads) => {
                if let Until::Timeout(us) = until {
                    *us %= 1_500;
                }
                threads.truncate(3);
                for actions in threads {
                    actions.truncate(5);
                    actions.retain_mut(|action| self.limit_action(action));
                }
            }
            Op::ForkHolder => return take_one(&mut self.forks),
            Op::Fork(ops) | Op::Daemon(_, _, ops) => {
                let is_allowed = take_one(&mut self.forks);
                self.limit(ops);
                return is_allowed;
            }
            Op::AtFdLimit(ops) | Op::Interrupted(_, ops) => self.limit(ops),
            _ => {}
        }
        true
    }

    fn limit_action(&mut self, action: &mut Action) -> bool {
        match action {
            Action::Sleep(us) => *us %= 200,
            Action::Fork(_) => return take_one(&mut self.forks),
            _ => {}
        }
        true
    }
}

/// Counts down, and returns whether there was one left.
fn take_one(left: &mut u16) -> bool {
    let is_left = *left > 0;
    *left -= u16::from(is_left);
    is_left
}
