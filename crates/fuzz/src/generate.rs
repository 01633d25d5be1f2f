//! Which programs are made, and how they shrink.

use std::ops::RangeInclusive;

use pollset::PollFlags;
use pollset_testkit::kinds::Kind;
use pollset_testkit::masks;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::{Action, How, Mask, Program, Step, Until, Which};

/// Programs as they come: a set of some size, and then up to 40 steps.
pub fn programs() -> impl Strategy<Value = Program> {
    (beginning(), vec(step(), 0..40)).prop_map(|(mut beginning, steps)| {
        beginning.extend(steps);
        Program(beginning)
    })
}

/// Some of everything, or many of which few are ready: those come to be on epoll.
fn beginning() -> impl Strategy<Value = Vec<Step>> {
    let mixed = vec((kind(), mask()), 0..12)
        .prop_map(|kinds| kinds.into_iter().map(|(kind, mask)| Step::Open(kind, mask)).collect());
    let few = vec((kind(), mask()), 0..4);
    let idle = (crowd(), few, often()).prop_map(|(crowd, few, often)| {
        let mut steps = vec![crowd];
        steps.extend(few.into_iter().map(|(kind, mask)| Step::Open(kind, mask)));
        steps.push(often);
        steps
    });
    prop_oneof![2 => mixed, 3 => idle]
}

/// Around the sizes at which sets change shape, and now and then a large one.
fn crowd() -> impl Strategy<Value = Step> {
    let kind = select(vec![Kind::EventCounter, Kind::Pipe, Kind::SocketPair, Kind::Timer]);
    let size = prop_oneof![
        60 => near(9),
        60 => near(18),
        60 => near(64),
        20 => near(128),
        20 => near(256),
        1 => 1_000..2_500_u16,
    ];
    let mask = select(vec![PollFlags::IN, PollFlags::IN | PollFlags::RDHUP, PollFlags::PRI]);
    (kind, size, mask).prop_map(|(kind, size, mask)| Step::Crowd(kind, size, Mask(mask)))
}

fn near(size: u16) -> RangeInclusive<u16> {
    size - 3..=size + 3
}

/// Enough for most of these sets to have paid the price of an instance.
fn often() -> impl Strategy<Value = Step> {
    prop_oneof![1..20_u16, 100..600_u16].prop_map(Step::PollOften)
}

fn step() -> impl Strategy<Value = Step> {
    with_inner(with_inner(plain().boxed()).boxed())
}

/// What has steps inside, up to a few.
fn with_inner(inner: BoxedStrategy<Step>) -> impl Strategy<Value = Step> {
    let steps = || vec(inner.clone(), 0..8);
    prop_oneof![
        40 => inner.clone(),
        1 => steps().prop_map(Step::Fork),
        1 => (kind(), 0..40_u8, steps()).prop_map(|(kind, n, steps)| Step::Daemon(kind, n, steps)),
        2 => steps().prop_map(Step::Starved),
        1 => (1_000..3_000_u16, steps(), how(), 1_000..4_000_u16).prop_map(
            |(us, mut steps, how, longer)| {
                steps.push(Step::Poll(how, longer));
                Step::Interrupted(us, steps)
            }
        ),
    ]
}

fn plain() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => quiet(),
        3 => closing(),
        1 => tampering(),
    ]
}

/// What changes no number behind the set's back.
fn quiet() -> impl Strategy<Value = Step> {
    let number = prop_oneof![0..1_100, select(vec![i32::MAX, 1 << 30, 1 << 20])];
    prop_oneof![
        6 => (kind(), mask()).prop_map(|(kind, mask)| Step::Open(kind, mask)),
        1 => crowd(),
        4 => which().prop_map(Step::Dup),
        8 => which().prop_map(Step::Write),
        2 => which().prop_map(Step::Fill),
        6 => which().prop_map(Step::Drain),
        4 => which().prop_map(Step::Twist),
        2 => Just(Step::AskElsewhere),
        2 => which().prop_map(Step::ShutDown),
        8 => (which(), mask()).prop_map(|(which, mask)| Step::Register(which, mask)),
        1 => (number, mask()).prop_map(|(number, mask)| Step::RegisterNumber(number, mask)),
        1 => mask().prop_map(Step::RegisterInstance),
        6 => (which(), mask()).prop_map(|(which, mask)| Step::Modify(which, mask)),
        6 => which().prop_map(Step::Unregister),
        2 => (which(), 0..20_u8).prop_map(|(which, run)| Step::UnregisterRun(which, run)),
        4 => (how(), 0..600_u16).prop_map(|(how, us)| Step::Poll(how, us)),
        4 => often(),
        2 => Just(Step::NewSet),
        3 => (until(), vec(vec(action(), 1..6), 1..4)).prop_map(|(u, t)| Step::During(u, t)),
        1 => Just(Step::Hold),
        1 => Just(Step::LetGo),
    ]
}

fn closing() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => which().prop_map(Step::Close),
        1 => (which(), 0..20_u8).prop_map(|(which, run)| Step::CloseRun(which, run)),
        4 => (which(), which()).prop_map(|(file, over)| Step::Dup2(file, over)),
        3 => (which(), kind()).prop_map(|(which, kind)| Step::Reuse(which, kind)),
        1 => Just(Step::Settle),
    ]
}

fn tampering() -> impl Strategy<Value = Step> {
    prop_oneof![Just(Step::CloseInstance), which().prop_map(Step::ReplaceInstance)]
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (0..200_u16).prop_map(Action::Sleep),
        4 => (which(), mask()).prop_map(|(which, mask)| Action::Register(which, mask)),
        3 => (which(), mask()).prop_map(|(which, mask)| Action::Modify(which, mask)),
        4 => which().prop_map(Action::Unregister),
        3 => which().prop_map(Action::Write),
        1 => which().prop_map(Action::Close),
        1 => (which(), which()).prop_map(|(file, over)| Action::Dup2(file, over)),
        1 => Just(Action::Poll),
        1 => which().prop_map(Action::Fork),
    ]
}

fn until() -> impl Strategy<Value = Until> {
    prop_oneof![3 => (0..1_500_u16).prop_map(Until::Timeout), 1 => Just(Until::Woken)]
}

fn how() -> impl Strategy<Value = How> {
    prop_oneof![
        Just(How::Poll),
        Just(How::Into),
        Just(How::Steps),
        (1..9_u8).prop_map(How::Answers)
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    select(&Kind::ALL)
}

fn mask() -> impl Strategy<Value = Mask> {
    masks().prop_map(Mask)
}

fn which() -> impl Strategy<Value = Which> {
    prop_oneof![0..16_u16, any::<u16>()]
}
