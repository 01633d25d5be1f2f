//! Many targets.

use crate::util::{assert_prints, listen, sh, stderr, stdout};
use std::net::TcpListener;

/// Sets `$targets` to 1,000 services: the same port at 1,000 addresses.
fn targets(port: u16, condition: &str) -> String {
    format!(
        "targets=$(for net in 1 2 3 4; do seq -f \"tcp:127.0.$net.%g:{port}{condition}\" 1 250; done);"
    )
}

/// A service at all addresses of the loopback network, which accepts.
fn serve() -> u16 {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().for_each(drop));
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
    assert_prints(
        &format!("{targets} ulimit -n 1024; wait --all --timeout 0 $targets | sort -u | wc -l"),
        "1000\n",
    );
}

#[test]
fn thousand_services_come_and_go() {
    let (listener, port) = listen();
    drop(listener);
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
    let output = sh("targets=$(seq -f 'tcp:host-%g.invalid:80' 1 100)
         $pollset wait -q --timeout 20s tcp:127.0.0.1:1 $targets & sleep 0.5
         ls /proc/$!/task | wc -l; kill $!");
    let threads: usize = stdout(&output).trim().parse().unwrap();
    assert!((1..=17).contains(&threads), "{output:?}");
}

#[test]
fn only_some_of_many_missing_targets_are_printed() {
    let (listener, port) = listen();
    drop(listener);
    let output = sh(&format!("{} wait --timeout 0 $targets", targets(port, "")));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output).lines().count(), 21, "{output:?}");
    assert!(stderr(&output).ends_with("pollset: and 980 more\n"), "{output:?}");
}
