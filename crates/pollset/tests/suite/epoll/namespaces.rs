//! The same of files that belong to network interfaces and file systems, in namespaces of a process
//! of its own.

use std::os::fd::AsFd;

use pollset::PollFlags;

use super::kinds::{everywhere, many_ready};
use crate::util::fd::Fd;
use crate::util::oracle::{assert_agrees, until_kernel_reports};
use crate::util::process::{Child, alone};
use crate::util::{NOW, event, kinds};

/// Runs a test in a child that has its own of what `flags` say.
fn apart(flags: i32, test: impl FnOnce()) {
    let child = Child::run(|| match kinds::unshare(flags) {
        Ok(()) => test(),
        Err(error) => eprintln!("not tested: no namespaces: {error}"),
    });
    child.join();
}

fn mounts() -> Fd {
    kinds::to_read("/proc/thread-self/mounts").unwrap()
}

#[test]
fn news_of_mounts_are_told_once_among_many_that_are_ready() {
    alone(|| {
        apart(libc::CLONE_NEWNS, || {
            everywhere(|place| {
                if place.is_small() {
                    return;
                }
                let (mounts, mask) = (mounts(), PollFlags::IN | PollFlags::PRI);
                let place = place.beside(600);
                let scene = place.set_of(&mounts, mask);
                scene.set.poll(NOW).unwrap();
                let temporary = tempfile::tempdir().unwrap();
                let mount = kinds::Mount::of_memory(temporary.path()).unwrap();
                let ready = many_ready(&scene);
                for revents in [mask | PollFlags::ERR, PollFlags::IN] {
                    let mut all = ready.clone();
                    let at = if place.is_late { all.len() } else { 0 };
                    all.insert(at, event(&mounts, revents));
                    assert_eq!(scene.set.poll(NOW).unwrap(), all);
                }
                drop(mount);
            });
        });
    });
}

#[test]
fn a_tunnel_that_was_registered_before_it_was_attached_is_answered_at_once() {
    alone(|| {
        apart(libc::CLONE_NEWNET, || {
            everywhere(|place| {
                let Ok(tunnel) = kinds::tunnel() else { return eprintln!("not tested: no tunnel") };
                let scene = place.set_of(&tunnel, PollFlags::IN | PollFlags::OUT);
                scene.assert_answers(&[event(&tunnel, PollFlags::ERR)]);
                kinds::attach_tunnel(&tunnel).unwrap();
                scene.assert_answers(&[]);
                kinds::bring_up_tunnel().unwrap();
                assert_agrees(&scene.set);
                kinds::send_through_tunnel().unwrap();
                until_kernel_reports(&tunnel, PollFlags::IN, PollFlags::IN);
                scene.assert_answers(&[event(&tunnel, PollFlags::IN | PollFlags::OUT)]);
            });
        });
    });
}

#[test]
fn a_file_server_that_was_registered_before_it_was_mounted_is_answered_at_once() {
    alone(|| {
        apart(libc::CLONE_NEWNS, || {
            everywhere(|place| {
                let Ok(server) = kinds::file_server() else {
                    return eprintln!("not tested: no FUSE");
                };
                let scene = place.set_of(&server, PollFlags::IN);
                scene.assert_answers(&[event(&server, PollFlags::ERR)]);
                let directory = tempfile::tempdir().unwrap();
                let mount = kinds::Mount::of_server(directory.path(), server.as_fd()).unwrap();
                until_kernel_reports(&server, PollFlags::IN, PollFlags::IN);
                scene.assert_answers(&[event(&server, PollFlags::IN)]);
                server.drain();
                scene.assert_answers(&[]);
                drop(mount);
                scene.assert_answers(&[event(&server, PollFlags::ERR)]);
            });
        });
    });
}
