//! Programs made of bytes, such as a fuzzer chooses that is guided by coverage. They are bounded, so
//! that each takes milliseconds.

use arbitrary::{Arbitrary, Result, Unstructured};
use pollset::PollFlags;
use pollset_testkit::kinds::Kind;

use crate::{Action, Mask, Program, Step, Until};

impl<'a> Arbitrary<'a> for Program {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let mut steps: Vec<Step> = bytes.arbitrary_iter()?.map_while(Result::ok).collect();
        Left { steps: 40, forks: 3, waits: 3_000 }.bound(&mut steps);
        Ok(Self(steps))
    }
}

impl<'a> Arbitrary<'a> for Mask {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self(PollFlags::from_bits_retain(bytes.arbitrary()?)))
    }
}

/// What a program may still have, whatever is inside of what.
struct Left {
    steps: u16,
    forks: u16,
    waits: u16,
}

impl Left {
    fn bound(&mut self, steps: &mut Vec<Step>) {
        steps.retain_mut(|step| take(&mut self.steps) && self.bound_step(step));
    }

    /// Whether there is anything left of it.
    fn bound_step(&mut self, step: &mut Step) -> bool {
        match step {
            Step::Crowd(kind, count, _) => {
                *count %= 300;
                // Of the others a process can't have that many.
                if !matches!(kind, Kind::Pipe | Kind::SocketPair | Kind::Timer) {
                    *kind = Kind::EventCounter;
                }
            }
            Step::RegisterNumber(number, _) => *number &= i32::MAX,
            Step::Poll(_, us) => *us %= 600,
            Step::PollOften(count) => {
                *count = (*count % 600).min(self.waits);
                self.waits -= *count;
            }
            Step::During(until, threads) => {
                if let Until::Timeout(us) = until {
                    *us %= 1_500;
                }
                threads.truncate(3);
                for actions in threads {
                    actions.truncate(5);
                    actions.retain_mut(|action| self.bound_action(action));
                }
            }
            Step::Hold => return take(&mut self.forks),
            Step::Fork(steps) | Step::Daemon(_, _, steps) => {
                let is_left = take(&mut self.forks);
                self.bound(steps);
                return is_left;
            }
            Step::Starved(steps) | Step::Interrupted(_, steps) => self.bound(steps),
            _ => {}
        }
        true
    }

    fn bound_action(&mut self, action: &mut Action) -> bool {
        match action {
            Action::Sleep(us) => *us %= 200,
            Action::Fork(_) => return take(&mut self.forks),
            _ => {}
        }
        true
    }
}

/// Takes one, if any are left.
fn take(left: &mut u16) -> bool {
    let is_left = *left > 0;
    *left -= u16::from(is_left);
    is_left
}
