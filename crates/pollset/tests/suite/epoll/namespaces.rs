//! Kinds of files that belong to network interfaces and file systems, in a process with its own
//! namespaces.

use std::os::fd::AsFd;

use pollset::PollFlags;

use super::kinds::{in_every_context, make_many_ready};
use crate::util::fd::Fd;
use crate::util::oracle::{assert_matches_kernel, wait_for_revents};
use crate::util::process::{Child, in_own_process};
use crate::util::{NOW, event, kinds};

/// Runs a test in a child with new namespaces of the types in `flags`.
pub(super) fn in_namespaces(flags: i32, test: impl FnOnce()) {
    let child = Child::run(|| match kinds::unshare(flags) {
        Ok(()) => test(),
        Err(error) => eprintln!("not tested: no namespaces: {error}"),
    });
    child.join();
}

/// Its `PRI` and `ERR`, which report a change, are cleared by polling.
pub(super) fn mounts() -> Fd {
    kinds::read_only("/proc/thread-self/mounts").unwrap()
}

#[test]
fn mount_changes_are_reported_once_among_many_ready() {
    in_own_process(|| {
        in_namespaces(libc::CLONE_NEWNS, || {
            in_every_context(|context| {
                if context.is_small() {
                    return;
                }
                let (mounts, mask) = (mounts(), PollFlags::IN | PollFlags::PRI);
                let context = context.with_idle(600);
                let fixture = context.set_of(&mounts, mask);
                fixture.set.poll(NOW).unwrap();
                let temporary = tempfile::tempdir().unwrap();
                let mount = kinds::Mount::of_memory(temporary.path()).unwrap();
                let ready = make_many_ready(&fixture);
                for revents in [mask | PollFlags::ERR, PollFlags::IN] {
                    let mut all = ready.clone();
                    let index = if context.is_late { all.len() } else { 0 };
                    all.insert(index, event(&mounts, revents));
                    assert_eq!(fixture.set.poll(NOW).unwrap(), all);
                }
                drop(mount);
            });
        });
    });
}

#[test]
fn tun_device_attached_after_registration_is_reported_at_once() {
    in_own_process(|| {
        in_namespaces(libc::CLONE_NEWNET, || {
            in_every_context(|context| {
                let Ok(tunnel) = kinds::dev_tun() else {
                    return eprintln!("not tested: no tunnel");
                };
                let fixture = context.set_of(&tunnel, PollFlags::IN | PollFlags::OUT);
                fixture.assert_reports(&[event(&tunnel, PollFlags::ERR)]);
                kinds::attach_tun(&tunnel).unwrap();
                fixture.assert_reports(&[]);
                kinds::bring_up_tun().unwrap();
                assert_matches_kernel(&fixture.set);
                kinds::send_through_tun().unwrap();
                wait_for_revents(&tunnel, PollFlags::IN, PollFlags::IN);
                fixture.assert_reports(&[event(&tunnel, PollFlags::IN | PollFlags::OUT)]);
            });
        });
    });
}

#[test]
fn fuse_device_mounted_after_registration_is_reported_at_once() {
    in_own_process(|| {
        in_namespaces(libc::CLONE_NEWNS, || {
            in_every_context(|context| {
                let Ok(server) = kinds::dev_fuse() else {
                    return eprintln!("not tested: no FUSE");
                };
                let fixture = context.set_of(&server, PollFlags::IN);
                fixture.assert_reports(&[event(&server, PollFlags::ERR)]);
                let directory = tempfile::tempdir().unwrap();
                let mount = kinds::Mount::of_server(directory.path(), server.as_fd()).unwrap();
                wait_for_revents(&server, PollFlags::IN, PollFlags::IN);
                fixture.assert_reports(&[event(&server, PollFlags::IN)]);
                server.drain();
                fixture.assert_reports(&[]);
                drop(mount);
                fixture.assert_reports(&[event(&server, PollFlags::ERR)]);
            });
        });
    });
}
