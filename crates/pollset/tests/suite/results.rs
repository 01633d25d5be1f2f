//! What a wait returns.

use std::io::ErrorKind;

use pollset::{Event, PollFlags};

use crate::util::fd::Fd;
use crate::util::kinds;
use crate::util::number::enough_for;
use crate::util::oracle::assert_agrees;
use crate::util::wait::{assert_busy, while_waiting};
use crate::util::{LONG, NOW, event, new_set, set_of};

#[track_caller]
fn assert_reports(fd: &Fd, mask: PollFlags, expected: PollFlags) {
    let set = set_of([fd], mask);
    let events = assert_agrees(&set);
    let reported = events.first().map_or(PollFlags::empty(), |event| event.revents);
    assert_eq!(reported, expected);
}

#[test]
fn what_stays_ready_is_reported_every_time() {
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
fn the_same_descriptor_is_reported_again_each_time_it_becomes_ready() {
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
fn one_wait_reports_every_ready_descriptor_of_5000_in_order() {
    if !enough_for(5_000) {
        return;
    }
    let mut fds: Vec<_> = (0..5_000).map(|_| kinds::event_counter(1)).collect();
    // So that no other order is right by chance.
    fds.sort_by_key(|fd| fd.number().wrapping_mul(0x9E37_79B9_u32 as i32));
    let set = set_of(&fds, PollFlags::IN);
    let expected: Vec<_> = fds.iter().map(|fd| event(fd, PollFlags::IN)).collect();
    assert_eq!(set.poll(NOW).unwrap(), expected);
    assert_eq!(set.poll(None).unwrap(), expected);
}

#[test]
fn the_ready_ones_among_idle_ones_are_found_wherever_they_are() {
    let fds: Vec<_> = (0..300).map(|_| kinds::event_counter(0)).collect();
    let set = set_of(&fds, PollFlags::IN);
    for fd in &fds {
        fd.increment();
        assert_eq!(set.poll(None).unwrap(), [event(fd, PollFlags::IN)]);
        fd.drain();
    }
}

#[test]
fn results_come_in_the_order_of_registration() {
    let mut fds: Vec<_> = (0..70).map(|_| kinds::event_counter(1)).collect();
    fds.sort_by_key(|fd| std::cmp::Reverse(fd.number()));
    fds.swap(3, 60);
    let set = set_of(&fds, PollFlags::IN);
    let events = set.poll(NOW).unwrap();
    assert!(events.iter().map(|event| event.fd).eq(fds.iter().map(Fd::number)));
}

#[test]
fn an_empty_mask_still_reports_a_hang_up() {
    let (reader, _) = kinds::pipe();
    assert_reports(&reader, PollFlags::empty(), PollFlags::HUP);
}

#[test]
fn an_empty_mask_still_reports_an_error() {
    let (_, writer) = kinds::pipe();
    assert_reports(&writer, PollFlags::empty(), PollFlags::ERR);
}

#[test]
fn an_empty_mask_still_reports_a_number_that_is_not_open() {
    assert_reports(&Fd::closed(), PollFlags::empty(), PollFlags::NVAL);
}

#[test]
fn an_empty_mask_reports_nothing_else() {
    let (reader, writer) = kinds::pipe();
    writer.write(b"data").unwrap();
    assert_reports(&reader, PollFlags::empty(), PollFlags::empty());
    assert_reports(&writer, PollFlags::empty(), PollFlags::empty());
}

#[test]
fn a_regular_file_is_ready_to_read_and_write() {
    let file = kinds::regular_file();
    assert_reports(&file, PollFlags::DEFAULT, PollFlags::IN | PollFlags::OUT);
    assert_reports(&file, PollFlags::OUT, PollFlags::OUT);
    assert_reports(&file, PollFlags::empty(), PollFlags::empty());
}

#[test]
fn data_before_the_end_of_a_pipe_is_reported_with_the_hang_up() {
    let (reader, writer) = kinds::pipe();
    writer.write(b"data").unwrap();
    drop(writer);
    assert_reports(&reader, PollFlags::IN, PollFlags::IN | PollFlags::HUP);
}

#[test]
fn a_full_pipe_is_not_ready_to_write() {
    let (reader, writer) = kinds::pipe();
    writer.write_until_full();
    assert_reports(&writer, PollFlags::OUT, PollFlags::empty());
    reader.drain();
    assert_reports(&writer, PollFlags::OUT, PollFlags::OUT);
}

#[test]
fn urgent_data_is_pri() {
    let (socket, _peer) = kinds::tcp_pair_with_urgent_data();
    assert_reports(&socket, PollFlags::PRI, PollFlags::PRI);
}

#[test]
fn a_connection_to_accept_is_in() {
    let (listener, _client) = kinds::listener_with_client();
    assert_reports(&listener, PollFlags::DEFAULT, PollFlags::IN);
}

#[test]
fn a_closed_peer_is_rdhup_only_if_asked_for() {
    let (socket, peer) = kinds::socket_pair();
    drop(peer);
    let in_hup = PollFlags::IN | PollFlags::HUP;
    assert_reports(&socket, PollFlags::IN, in_hup);
    assert_reports(&socket, PollFlags::IN | PollFlags::RDHUP, in_hup | PollFlags::RDHUP);
}

#[test]
fn a_modified_mask_counts_from_the_next_wait() {
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
fn poll_into_replaces_what_was_in_the_list() {
    let (reader, writer) = kinds::pipe();
    let set = set_of([&reader, &writer], PollFlags::DEFAULT);
    let junk = Event { fd: 7, revents: PollFlags::ERR };
    let mut events = vec![junk; 3];
    assert_eq!(set.poll_into(&mut events, NOW).unwrap(), 1);
    assert_eq!(events, [event(&writer, PollFlags::OUT)]);

    set.unregister(&writer).unwrap();
    assert_eq!(set.poll_into(&mut events, NOW).unwrap(), 0);
    assert_eq!(events, []);
}

#[test]
fn poll_into_keeps_the_memory_of_the_list() {
    let set = set_of([&kinds::event_counter(1)], PollFlags::IN);
    let mut events = Vec::with_capacity(100);
    let memory = events.as_ptr();
    set.poll_into(&mut events, NOW).unwrap();
    assert_eq!((events.as_ptr(), events.capacity()), (memory, 100));
}

#[test]
fn the_list_is_empty_after_an_error() {
    let counter = kinds::event_counter(0);
    let set = set_of([&counter], PollFlags::IN);
    let waited = while_waiting(&set, LONG, || {
        let mut events = vec![event(&counter, PollFlags::ERR)];
        let error = set.poll_into(&mut events, NOW).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResourceBusy);
        assert_eq!(events, []);
        assert_busy(set.poll(NOW));
        counter.increment();
    });
    assert_eq!(waited.unwrap(), [event(&counter, PollFlags::IN)]);
}

#[test]
fn the_set_may_be_changed_in_the_loop_over_the_results() {
    let fds: Vec<_> = (0..20).map(|_| kinds::event_counter(1)).collect();
    let more: Vec<_> = (0..20).map(|_| kinds::event_counter(1)).collect();
    let set = set_of(&fds, PollFlags::IN);
    for (event, new) in set.poll(NOW).unwrap().into_iter().zip(&more) {
        set.unregister(event.fd).unwrap();
        set.register(new, PollFlags::IN).unwrap();
    }
    let events = assert_agrees(&set);
    assert!(events.iter().map(|event| event.fd).eq(more.iter().map(Fd::number)));
}

#[test]
fn nothing_is_reported_twice_for_two_numbers_of_one_file() {
    let one = kinds::event_counter(1);
    let other = one.dup();
    let set = set_of([&other, &one], PollFlags::IN);
    let expected = [event(&other, PollFlags::IN), event(&one, PollFlags::IN)];
    assert_eq!(set.poll(NOW).unwrap(), expected);
}

#[test]
fn an_empty_set_reports_nothing() {
    assert_eq!(new_set().poll(NOW).unwrap(), []);
}

#[test]
fn an_event_knows_whom_it_is_for() {
    let (ready, other) = (kinds::event_counter(1), kinds::event_counter(0));
    let events = set_of([&ready, &other], PollFlags::IN).poll(NOW).unwrap();
    assert!(events[0].is_for(&ready));
    assert!(!events[0].is_for(&other));
}
