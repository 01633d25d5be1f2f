//! `gone`: a service that accepts no more, a path that doesn't exist, a peer that has hung up.

use rustix::io::Errno;

use crate::tcp::FullService;
use crate::util::{
    assert_prints, assert_times_out, free_port, listen, sh_in_namespaces, stdout, text_of,
};

#[test]
fn port_without_a_service_is_gone() {
    let port = free_port();
    for timeout in ["0", "30s"] {
        let script = format!("wait --timeout {timeout} tcp:127.0.0.1:{port}:gone");
        assert_prints(&script, &format!("tcp:127.0.0.1:{port} gone\n"));
    }
}

#[test]
fn service_that_stops_is_gone() {
    let port = free_port();
    assert_prints(
        &format!(
            "$pollset serve --listen 127.0.0.1:{port} >/dev/null & server=$!
             wait --all --timeout 30s tcp:127.0.0.1:{port} || exit
             (sleep 0.3; kill $server) & wait --timeout 30s tcp:localhost:{port}:gone"
        ),
        &format!("tcp:127.0.0.1:{port} out\ntcp:localhost:{port} gone\n"),
    );
}

#[test]
fn service_that_accepts_is_not_gone() {
    let (_listener, port) = listen();
    for timeout in ["0", "1500ms"] {
        assert_times_out(
            &format!("wait --timeout {timeout} tcp:127.0.0.1:{port}:gone"),
            &format!("pollset: tcp:127.0.0.1:{port}: still accepts connections\n"),
        );
    }
}

#[test]
fn service_that_closes_each_connection_is_not_gone() {
    let (listener, port) = listen();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    assert_times_out(
        &format!("wait --timeout 1s tcp:127.0.0.1:{port}:gone"),
        &format!("pollset: tcp:127.0.0.1:{port}: still accepts connections\n"),
    );
}

#[test]
fn service_that_keeps_its_connections_but_accepts_no_more_is_gone() {
    let (listener, port) = listen();
    std::thread::spawn(move || {
        let connection = listener.accept();
        drop(listener);
        std::mem::forget(connection);
    });
    assert_prints(
        &format!("wait --timeout 30s tcp:127.0.0.1:{port}:gone"),
        &format!("tcp:127.0.0.1:{port} gone\n"),
    );
}

#[test]
fn service_without_an_answer_is_gone_after_3_seconds() {
    let service = FullService::new();
    assert_times_out(
        &format!("wait --timeout 1s tcp:127.0.0.1:{}:gone", service.port),
        &format!("pollset: tcp:127.0.0.1:{}: no answer yet\n", service.port),
    );
    assert_prints(
        &format!("wait --timeout 60s tcp:127.0.0.1:{}:gone", service.port),
        &format!("tcp:127.0.0.1:{} gone\n", service.port),
    );
}

#[test]
fn lack_of_descriptors_does_not_mean_that_a_service_is_gone() {
    let (_listener, port) = listen();
    assert_times_out(
        &format!(
            "exec 3<. 4<. 5<. 6<. 7<. 8<.; ulimit -n 10; wait -t 500ms tcp:127.0.0.1:{port}:gone"
        ),
        &format!("pollset: tcp:127.0.0.1:{port}: {}\n", text_of(Errno::MFILE)),
    );
}

#[test]
fn path_that_is_removed_is_gone() {
    assert_prints("touch a; (sleep 0.3; rm a) & wait --timeout 30s a:gone", "a gone\n");
    assert_prints("wait --timeout 0 a/b:gone", "a/b gone\n");
    assert_times_out("touch a; wait --timeout 300ms a:gone", "pollset: a: still exists\n");
}

#[test]
fn descriptor_is_gone_when_its_peer_hangs_up() {
    assert_prints("(sleep 0.3) | wait --timeout 30s 0:gone", "0 gone\n");
    assert_prints("mkfifo a; exec 3<>a; exec 4>a 3<&-; wait --timeout 30s 4:gone", "4 gone\n");
    assert_times_out("(echo hi; sleep 2) | wait --timeout 300ms 0:gone", "");
}

#[test]
fn localhost_without_ipv6_is_gone() {
    let output = sh_in_namespaces(
        "ip link set lo up; echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
         echo 1 >/proc/sys/net/ipv6/conf/lo/disable_ipv6
         wait --timeout 1s tcp:localhost:1:gone; wait --timeout 300ms tcp:[::1]:1:gone 2>&1",
    );
    let Some(output) = output else { return };
    let unavailable = text_of(Errno::ADDRNOTAVAIL);
    assert_eq!(
        stdout(&output),
        format!("tcp:localhost:1 gone\npollset: tcp:[::1]:1: {unavailable}\n")
    );
}
