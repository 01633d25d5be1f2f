//! The events that a wait returns.

use std::io::ErrorKind;

use pollset::{Event, PollFlags};

use crate::helpers::event_counters;
use crate::util::fd::Fd;
use crate::util::kinds;
use crate::util::number::enough_fds_for;
use crate::util::oracle::assert_matches_kernel;
use crate::util::wait::{assert_concurrent_poll_error, while_waiting};
use crate::util::{LONG, NOW, event, new_set, set_of};

#[track_caller]
fn assert_reports(fd: &Fd, mask: PollFlags, expected: PollFlags) {
    let set = set_of([fd], mask);
    let events = assert_matches_kernel(&set);
    let reported = events.first().map_or(PollFlags::empty(), |event| event.revents);
    assert_eq!(reported, expected);
}

#[test]
fn readiness_is_level_triggered() {
    let (reader, writer) = kinds::pipe();
    let set = set_of([&reader], PollFlags::IN);
    writer.write(b"data").unwrap();
    for _ in 0..50 {
        assert_eq!(set.poll(LONG).unwrap(), [event(&reader, PollFlags::IN)]);
        assert_eq!(set.poll(NOW).unwrap(), [event(&reader, PollFlags::IN)]);
    }
    reader.drain();
    assert_eq!(set.poll(NOW).unwrap(), []);
}

#[test]
fn descriptor_is_reported_each_time_it_becomes_ready() {
    let (reader, writer) = kinds::pipe();
    let set = set_of([&reader], PollFlags::IN);
    for _ in 0..50 {
        assert_eq!(set.poll(NOW).unwrap(), []);
        writer.write(b"data").unwrap();
        assert_eq!(set.poll(LONG).unwrap(), [event(&reader, PollFlags::IN)]);
        reader.drain();
    }
}

#[test]
fn one_wait_reports_all_of_5000_ready_descriptors_in_order() {
    if !enough_fds_for(5_000) {
        return;
    }
    let mut fds = event_counters(5_000, 1);
    // An order that matches no other order by chance.
    fds.sort_by_key(|fd| fd.number().wrapping_mul(0x9E37_79B9_u32 as i32));
    let set = set_of(&fds, PollFlags::IN);
    let expected: Vec<_> = fds.iter().map(|fd| event(fd, PollFlags::IN)).collect();
    assert_eq!(set.poll(NOW).unwrap(), expected);
    assert_eq!(set.poll(None).unwrap(), expected);
}

#[test]
fn one_ready_descriptor_is_reported_at_every_position() {
    let fds = event_counters(300, 0);
    let set = set_of(&fds, PollFlags::IN);
    for fd in &fds {
        fd.increment();
        assert_eq!(set.poll(None).unwrap(), [event(fd, PollFlags::IN)]);
        fd.drain();
    }
}

#[test]
fn events_are_in_registration_order() {
    let mut fds = event_counters(70, 1);
    fds.sort_by_key(|fd| std::cmp::Reverse(fd.number()));
    fds.swap(3, 60);
    let set = set_of(&fds, PollFlags::IN);
    let events = set.poll(NOW).unwrap();
    assert!(events.iter().map(|event| event.fd).eq(fds.iter().map(Fd::number)));
}

#[test]
fn empty_mask_reports_hup() {
    let (reader, _) = kinds::pipe();
    assert_reports(&reader, PollFlags::empty(), PollFlags::HUP);
}

#[test]
fn empty_mask_reports_err() {
    let (_, writer) = kinds::pipe();
    assert_reports(&writer, PollFlags::empty(), PollFlags::ERR);
}

#[test]
fn empty_mask_reports_nval() {
    assert_reports(&Fd::closed(), PollFlags::empty(), PollFlags::NVAL);
}

#[test]
fn empty_mask_does_not_report_in_or_out() {
    let (reader, writer) = kinds::pipe();
    writer.write(b"data").unwrap();
    assert_reports(&reader, PollFlags::empty(), PollFlags::empty());
    assert_reports(&writer, PollFlags::empty(), PollFlags::empty());
}

#[test]
fn regular_file_is_always_readable_and_writable() {
    let file = kinds::regular_file();
    assert_reports(
        &file,
        PollFlags::IN | PollFlags::PRI | PollFlags::OUT,
        PollFlags::IN | PollFlags::OUT,
    );
    assert_reports(&file, PollFlags::OUT, PollFlags::OUT);
    assert_reports(&file, PollFlags::empty(), PollFlags::empty());
}

#[test]
fn data_left_in_pipe_is_reported_with_hup() {
    let (reader, writer) = kinds::pipe();
    writer.write(b"data").unwrap();
    drop(writer);
    assert_reports(&reader, PollFlags::IN, PollFlags::IN | PollFlags::HUP);
}

#[test]
fn full_pipe_is_not_writable() {
    let (reader, writer) = kinds::pipe();
    writer.write_until_full();
    assert_reports(&writer, PollFlags::OUT, PollFlags::empty());
    reader.drain();
    assert_reports(&writer, PollFlags::OUT, PollFlags::OUT);
}

#[test]
fn urgent_data_is_reported_as_pri() {
    let (socket, _peer) = kinds::tcp_pair_with_urgent_data();
    assert_reports(&socket, PollFlags::PRI, PollFlags::PRI);
}

#[test]
fn pending_connection_is_reported_as_in() {
    let (listener, _client) = kinds::listener_with_client();
    assert_reports(&listener, PollFlags::IN | PollFlags::PRI | PollFlags::OUT, PollFlags::IN);
}

#[test]
fn rdhup_is_reported_only_if_in_the_mask() {
    let (socket, peer) = kinds::socket_pair();
    drop(peer);
    let in_hup = PollFlags::IN | PollFlags::HUP;
    assert_reports(&socket, PollFlags::IN, in_hup);
    assert_reports(&socket, PollFlags::IN | PollFlags::RDHUP, in_hup | PollFlags::RDHUP);
}

#[test]
fn modified_mask_takes_effect_at_next_wait() {
    let (socket, peer) = kinds::socket_pair();
    peer.write(b"data").unwrap();
    let set = set_of([&socket], PollFlags::IN);
    assert_eq!(set.poll(NOW).unwrap(), [event(&socket, PollFlags::IN)]);
    set.modify(&socket, PollFlags::OUT).unwrap();
    assert_eq!(set.poll(NOW).unwrap(), [event(&socket, PollFlags::OUT)]);
    set.modify(&socket, PollFlags::empty()).unwrap();
    assert_eq!(set.poll(NOW).unwrap(), []);
}

#[test]
fn poll_into_replaces_the_contents_of_the_vec() {
    let (reader, writer) = kinds::pipe();
    let set = set_of([&reader, &writer], PollFlags::IN | PollFlags::PRI | PollFlags::OUT);
    let old = Event { fd: 7, revents: PollFlags::ERR };
    let mut events = vec![old; 3];
    assert_eq!(set.poll_into(&mut events, NOW).unwrap(), 1);
    assert_eq!(events, [event(&writer, PollFlags::OUT)]);

    set.unregister(&writer).unwrap();
    assert_eq!(set.poll_into(&mut events, NOW).unwrap(), 0);
    assert_eq!(events, []);
}

#[test]
fn poll_into_reuses_the_allocation_of_the_vec() {
    let set = set_of([&kinds::eventfd(1)], PollFlags::IN);
    let mut events = Vec::with_capacity(100);
    let memory = events.as_ptr();
    set.poll_into(&mut events, NOW).unwrap();
    assert_eq!((events.as_ptr(), events.capacity()), (memory, 100));
}

#[test]
fn poll_into_clears_the_vec_on_error() {
    let counter = kinds::eventfd(0);
    let set = set_of([&counter], PollFlags::IN);
    let waited = while_waiting(&set, LONG, || {
        let mut events = vec![event(&counter, PollFlags::ERR)];
        let error = set.poll_into(&mut events, NOW).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResourceBusy);
        assert_eq!(events, []);
        assert_concurrent_poll_error(set.poll(NOW));
        counter.increment();
    });
    assert_eq!(waited.unwrap(), [event(&counter, PollFlags::IN)]);
}

#[test]
fn set_can_be_changed_while_iterating_over_events() {
    let fds = event_counters(20, 1);
    let others = event_counters(20, 1);
    let set = set_of(&fds, PollFlags::IN);
    for (event, new) in set.poll(NOW).unwrap().into_iter().zip(&others) {
        set.unregister(event.fd).unwrap();
        set.register(new, PollFlags::IN).unwrap();
    }
    let events = assert_matches_kernel(&set);
    assert!(events.iter().map(|event| event.fd).eq(others.iter().map(Fd::number)));
}

#[test]
fn two_fds_of_one_file_are_each_reported_once() {
    let one = kinds::eventfd(1);
    let other = one.dup();
    let set = set_of([&other, &one], PollFlags::IN);
    let expected = [event(&other, PollFlags::IN), event(&one, PollFlags::IN)];
    assert_eq!(set.poll(NOW).unwrap(), expected);
}

#[test]
fn empty_set_reports_nothing() {
    assert_eq!(new_set().poll(NOW).unwrap(), []);
}

#[test]
fn is_for_compares_the_fd_of_an_event() {
    let (ready, idle) = (kinds::eventfd(1), kinds::eventfd(0));
    let events = set_of([&ready, &idle], PollFlags::IN).poll(NOW).unwrap();
    assert!(events[0].is_for(&ready));
    assert!(!events[0].is_for(&idle));
}
