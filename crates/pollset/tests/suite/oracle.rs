//! Sets of every kind of descriptor report the same events as poll(2) in the kernel.

use pollset::PollFlags;
use proptest::prelude::*;

use crate::util::kinds::{Kind, make, report_missing};
use crate::util::oracle::assert_matches_kernel;
use crate::util::{cases, masks, new_set, set_of};

#[test]
fn every_kind_of_descriptor_agrees_with_kernel() {
    report_missing();
    for kind in Kind::ALL {
        for mask in
            [PollFlags::IN | PollFlags::PRI | PollFlags::OUT, PollFlags::all(), PollFlags::empty()]
        {
            assert_matches_kernel(&set_of(&make(kind), mask));
        }
    }
}

fn kinds() -> impl Strategy<Value = Vec<(Kind, PollFlags, PollFlags)>> {
    let kind = prop::sample::select(&Kind::ALL);
    prop::collection::vec((kind, masks(), masks()), 0..40)
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn random_sets_of_all_kinds_agree_with_kernel(kinds in kinds()) {
        let set = new_set();
        let mut open = Vec::new();
        for (kind, mask, mask_of_rest) in kinds {
            let fds = make(kind);
            for (i, fd) in fds.iter().enumerate() {
                set.register(fd, if i == 0 { mask } else { mask_of_rest }).unwrap();
            }
            open.push(fds);
        }
        assert_matches_kernel(&set);
    }
}
