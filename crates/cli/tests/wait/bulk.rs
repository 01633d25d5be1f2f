//! Many targets.

use std::net::{SocketAddr, TcpListener};
use std::thread;

use socket2::{Domain, Socket, Type};

use crate::tcp::FullService;
use crate::util::{assert_printed, assert_prints, free_port, sh, sh_in_namespaces, stderr};

/// Sets `$targets` to 1,000 services: the same port at 1,000 addresses.
fn targets(port: u16, condition: &str) -> String {
    format!(
        "targets=$(for net in 1 2 3 4; do seq -f \"tcp:127.0.$net.%g:{port}{condition}\" 1 250; done);"
    )
}

/// A service at all addresses of the loopback network, with a long queue.
fn serve() -> u16 {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([0, 0, 0, 0], 0)).into()).unwrap();
    listener.listen(4096).unwrap();
    let listener = TcpListener::from(listener);
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || listener.incoming().for_each(drop));
    port
}

#[test]
fn thousand_services_are_waited_for_with_few_descriptors() {
    let targets = targets(serve(), "");
    assert_prints(
        &format!("{targets} ulimit -n 100; wait --all --timeout 60s $targets | sort -u | wc -l"),
        "1000\n",
    );
}

#[test]
fn thousand_services_are_asked_once() {
    let targets = targets(serve(), "");
    for limit in [100, 1024] {
        let wait = "wait --all --timeout 0 $targets | sort -u | wc -l";
        assert_prints(&format!("{targets} ulimit -n {limit}; {wait}"), "1000\n");
    }
}

#[test]
fn thousand_services_come_and_go() {
    let port = free_port();
    let (up, gone) = (targets(port, ""), targets(port, ":gone"));
    assert_prints(
        &format!(
            "{up} ulimit -n 1024
             (sleep 0.5; exec $pollset serve --listen 0.0.0.0:{port} >/dev/null) & server=$!
             wait --all --timeout 60s $targets | sort -u | wc -l
             {gone} (sleep 0.5; kill $server) &
             wait --all --timeout 60s $targets | sort -u | wc -l"
        ),
        "1000\n1000\n",
    );
}

#[test]
fn there_is_no_thread_for_each_target() {
    // The name server doesn't answer, so that all lookups take seconds. An emulator has threads, too.
    let script = "ip link set lo up
         echo hosts: dns >nsswitch; mount --bind nsswitch /etc/nsswitch.conf
         echo nameserver 127.0.0.1 >resolv; mount --bind resolv /etc/resolv.conf
         python3 -c 'import socket, time; s = socket.socket(2, 2); s.bind((\"127.0.0.1\", 53))
open(\"bound\", \"w\"); time.sleep(60)' & server=$!
         $pollset wait -q bound:exists
         threads() { ls /proc/$1/task | wc -l; }
         $pollset wait -q nothing:exists & idle=$!
         $pollset wait -q $(seq -f 'tcp:127.0.0.1:%g' 1 500) $(seq -f 'tcp:host-%g.test:80' 1 500) &
         sleep 1; echo $(($(threads $!) - $(threads $idle))); kill $! $idle $server";
    let Some(output) = sh_in_namespaces(script) else { return };
    assert_printed(&output, "64\n");
}

#[test]
fn services_without_an_answer_do_not_keep_others_waiting() {
    // 600 attempts, of which 512 are made at a time.
    let service = FullService::new();
    let silent = format!("$(yes tcp:127.0.0.1:{}:in | head -n 600)", service.port);
    let port = serve();
    for timeout in ["0", "30s"] {
        assert_prints(
            &format!("wait --timeout {timeout} {silent} tcp:127.0.0.1:{port}"),
            &format!("tcp:127.0.0.1:{port} out\n"),
        );
    }
}

#[test]
fn kept_connections_do_not_use_up_the_descriptors() {
    let targets = targets(serve(), ":gone");
    let port = free_port();
    for timeout in ["0", "30s"] {
        assert_prints(
            &format!(
                "{targets} ulimit -n 30; wait -t {timeout} $targets tcp:127.0.0.1:{port}:gone"
            ),
            &format!("tcp:127.0.0.1:{port} gone\n"),
        );
    }
}

#[test]
fn only_some_of_many_missing_targets_are_printed() {
    let port = free_port();
    let output = sh(&format!("{} wait --timeout 0 $targets", targets(port, "")));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output).lines().count(), 21, "{output:?}");
    assert!(stderr(&output).ends_with("pollset: and 980 more\n"), "{output:?}");
}
