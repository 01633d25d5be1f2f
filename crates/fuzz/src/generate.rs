//! Strategies that generate programs, and shrink them.

use std::ops::RangeInclusive;

use pollset::PollFlags;
use pollset_testkit::kinds::Kind;
use pollset_testkit::masks;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::{Action, FdIndex, Mask, Op, Program, Until, WaitCall};

/// Programs that set up a set of some size, and then have up to 40 operations.
pub fn programs() -> impl Strategy<Value = Program> {
    (setup(), vec(op(), 0..40)).prop_map(|(mut ops, more)| {
        ops.extend(more);
        Program(ops)
    })
}

/// A few of any kind, or many idle descriptors: those are polled until the set is on epoll.
fn setup() -> impl Strategy<Value = Vec<Op>> {
    let mixed = vec((kind(), mask()), 0..12)
        .prop_map(|kinds| kinds.into_iter().map(|(kind, mask)| Op::Open(kind, mask)).collect());
    let few = vec((kind(), mask()), 0..4);
    let idle = (open_many(), few, poll_repeatedly()).prop_map(|(many, few, poll_repeatedly)| {
        let mut ops = vec![many];
        ops.extend(few.into_iter().map(|(kind, mask)| Op::Open(kind, mask)));
        ops.push(poll_repeatedly);
        ops
    });
    prop_oneof![2 => mixed, 3 => idle]
}

/// Sizes around those at which the data structures of a set change, and rarely a large one.
fn open_many() -> impl Strategy<Value = Op> {
    let kind = select(vec![Kind::Eventfd, Kind::Pipe, Kind::SocketPair, Kind::Timerfd]);
    let size = prop_oneof![
        60 => near(9),
        60 => near(18),
        60 => near(64),
        20 => near(128),
        20 => near(256),
        1 => 1_000..2_500_u16,
    ];
    let mask = select(vec![PollFlags::IN, PollFlags::IN | PollFlags::RDHUP, PollFlags::PRI]);
    (kind, size, mask).prop_map(|(kind, size, mask)| Op::OpenMany(kind, size, Mask(mask)))
}

fn near(size: u16) -> RangeInclusive<u16> {
    size - 3..=size + 3
}

/// Often enough for most sets to create an epoll instance.
fn poll_repeatedly() -> impl Strategy<Value = Op> {
    prop_oneof![1..20_u16, 100..600_u16].prop_map(Op::PollRepeatedly)
}

fn op() -> impl Strategy<Value = Op> {
    with_nested(with_nested(flat_op().boxed()).boxed())
}

/// Operations that contain a few others.
fn with_nested(inner: BoxedStrategy<Op>) -> impl Strategy<Value = Op> {
    let ops = || vec(inner.clone(), 0..8);
    prop_oneof![
        40 => inner.clone(),
        1 => ops().prop_map(Op::Fork),
        1 => (kind(), 0..40_u8, ops()).prop_map(|(kind, n, ops)| Op::Daemon(kind, n, ops)),
        2 => ops().prop_map(Op::AtFdLimit),
        1 => (1_000..3_000_u16, ops(), wait_call(), 1_000..4_000_u16).prop_map(
            |(us, mut ops, call, longer)| {
                ops.push(Op::Poll(call, longer));
                Op::Interrupted(us, ops)
            }
        ),
    ]
}

fn flat_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => regular_op(),
        3 => closing_op(),
        1 => tampering_op(),
    ]
}

/// Operations that close or replace no file without the set's knowledge.
fn regular_op() -> impl Strategy<Value = Op> {
    let raw_fd = prop_oneof![0..1_100, select(vec![i32::MAX, 1 << 30, 1 << 20])];
    prop_oneof![
        6 => (kind(), mask()).prop_map(|(kind, mask)| Op::Open(kind, mask)),
        1 => open_many(),
        4 => index().prop_map(Op::Dup),
        8 => index().prop_map(Op::Write),
        2 => index().prop_map(Op::Fill),
        6 => index().prop_map(Op::Drain),
        4 => index().prop_map(Op::Toggle),
        2 => Just(Op::PollInThread),
        2 => index().prop_map(Op::ShutDown),
        8 => (index(), mask()).prop_map(|(index, mask)| Op::Register(index, mask)),
        1 => (raw_fd, mask()).prop_map(|(fd, mask)| Op::RegisterRawFd(fd, mask)),
        1 => mask().prop_map(Op::RegisterInstance),
        6 => (index(), mask()).prop_map(|(index, mask)| Op::Modify(index, mask)),
        6 => index().prop_map(Op::Unregister),
        2 => (index(), 0..20_u8).prop_map(|(index, run)| Op::UnregisterRun(index, run)),
        4 => (wait_call(), 0..600_u16).prop_map(|(call, us)| Op::Poll(call, us)),
        4 => poll_repeatedly(),
        2 => Just(Op::NewSet),
        3 => (until(), vec(vec(action(), 1..6), 1..4)).prop_map(|(u, t)| Op::PollWhile(u, t)),
        1 => Just(Op::ForkHolder),
        1 => Just(Op::KillHolders),
    ]
}

fn closing_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => index().prop_map(Op::Close),
        1 => (index(), 0..20_u8).prop_map(|(index, run)| Op::CloseRun(index, run)),
        4 => (index(), index()).prop_map(|(file, over)| Op::Dup2(file, over)),
        3 => (index(), kind()).prop_map(|(index, kind)| Op::Reuse(index, kind)),
        1 => Just(Op::AwaitAudit),
    ]
}

fn tampering_op() -> impl Strategy<Value = Op> {
    prop_oneof![Just(Op::CloseInstance), index().prop_map(Op::ReplaceInstance)]
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (0..200_u16).prop_map(Action::Sleep),
        4 => (index(), mask()).prop_map(|(index, mask)| Action::Register(index, mask)),
        3 => (index(), mask()).prop_map(|(index, mask)| Action::Modify(index, mask)),
        4 => index().prop_map(Action::Unregister),
        3 => index().prop_map(Action::Write),
        1 => index().prop_map(Action::Close),
        1 => (index(), index()).prop_map(|(file, over)| Action::Dup2(file, over)),
        1 => Just(Action::Poll),
        1 => index().prop_map(Action::Fork),
    ]
}

fn until() -> impl Strategy<Value = Until> {
    prop_oneof![3 => (0..1_500_u16).prop_map(Until::Timeout), 1 => Just(Until::Woken)]
}

fn wait_call() -> impl Strategy<Value = WaitCall> {
    prop_oneof![
        Just(WaitCall::Poll),
        Just(WaitCall::PollInto),
        Just(WaitCall::TakeEach),
        (1..9_u8).prop_map(WaitCall::TakeBatch),
        (1..9_u8).prop_map(WaitCall::InTurn)
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    select(&Kind::ALL)
}

fn mask() -> impl Strategy<Value = Mask> {
    masks().prop_map(Mask)
}

fn index() -> impl Strategy<Value = FdIndex> {
    prop_oneof![0..16_u16, any::<u16>()]
}
