//! TCP services.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, Socket, Type};

use crate::util::{
    assert_printed, assert_prints, assert_times_out, free_port, listen, sh, sh_in_namespaces,
    stderr, text_of,
};

#[test]
fn tcp_service_is_ready_when_it_accepts() {
    let (_listener, port) = listen();
    assert_prints(&format!("wait tcp:localhost:{port}"), &format!("tcp:localhost:{port} out\n"));
}

#[test]
fn timeout_0_connects_to_a_tcp_service_once_and_returns() {
    let (listener, port) = listen();
    for option in ["", "--follow"] {
        assert_prints(
            &format!("wait {option} --timeout 0 tcp:localhost:{port}"),
            &format!("tcp:localhost:{port} out\n"),
        );
    }
    drop(listener);
    assert_times_out(
        &format!("wait --timeout 0 tcp:127.0.0.1:{port}"),
        &format!("pollset: tcp:127.0.0.1:{port}: Connection refused\n"),
    );
}

#[test]
fn data_from_a_tcp_service_is_reported() {
    let (listener, port) = listen();
    thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        client.write_all(b"220 ready\r\n").unwrap();
        client.read(&mut [0])
    });
    assert_prints(&format!("wait tcp:127.0.0.1:{port}:in"), &format!("tcp:127.0.0.1:{port} in\n"));
}

#[test]
fn refused_tcp_connection_is_retried() {
    let port = free_port();
    let up_later = thread::spawn(move || {
        thread::sleep(Duration::from_millis(500));
        TcpListener::bind(("127.0.0.1", port)).unwrap().accept().unwrap();
    });
    assert_prints(
        &format!("wait --timeout 20s tcp:127.0.0.1:{port}"),
        &format!("tcp:127.0.0.1:{port} out\n"),
    );
    up_later.join().unwrap();
}

#[test]
fn refused_tcp_connection_is_reported_at_the_timeout() {
    let port = free_port();
    assert_times_out(
        &format!("wait --timeout 300ms tcp:127.0.0.1:{port}"),
        &format!("pollset: tcp:127.0.0.1:{port}: Connection refused\n"),
    );
}

#[test]
fn unknown_host_ends_with_the_timeout() {
    let output = sh("wait --timeout 300ms tcp:no-such-host.invalid:80");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(stderr(&output).starts_with("pollset: tcp:no-such-host.invalid:80: "), "{output:?}");
}

#[test]
fn ready_target_is_reported_while_another_is_not_open() {
    let port = free_port();
    assert_prints(
        &format!("mkfifo a; exec 3<>a; echo hi >&3; wait tcp:127.0.0.1:{port} 3"),
        "3 in\n",
    );
}

/// A service whose queue of connections is full: it doesn't answer to further ones.
pub struct FullService {
    pub port: u16,
    listener: Socket,
    clients: Vec<TcpStream>,
}

impl FullService {
    pub fn new() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any_port: std::net::SocketAddr = ([127, 0, 0, 1], 0).into();
        listener.bind(&any_port.into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(300));
        let clients: Vec<_> = std::iter::from_fn(|| connect().ok()).collect();
        assert!(!clients.is_empty());
        Self { port: address.port(), listener, clients }
    }

    /// Accepts the connections that fill the queue.
    pub fn make_room(&self) {
        for _ in &self.clients {
            self.listener.accept().unwrap();
        }
    }
}

#[test]
fn service_without_an_answer_is_reported_at_the_timeout() {
    let service = FullService::new();
    let target = format!("tcp:127.0.0.1:{}", service.port);
    let script = format!("wait --timeout 300ms {target}");
    assert_times_out(&script, &format!("pollset: {target}: no answer yet\n"));
    let script = format!("wait --timeout 0 {target}");
    let advice = "pollset: with --timeout 0 there is no time for an answer; try 1s\n";
    assert_times_out(&script, &format!("pollset: {target}: no answer yet\n{advice}"));
}

#[test]
fn service_that_answers_late_is_found() {
    let service = FullService::new();
    let target = format!("tcp:127.0.0.1:{}", service.port);
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(500));
            service.make_room();
        });
        assert_prints(&format!("wait --timeout 60s {target}"), &format!("{target} out\n"));
    });
}

#[test]
fn attempt_without_an_answer_ends_and_another_begins() {
    let service = FullService::new();
    let target = format!("tcp:127.0.0.1:{}", service.port);
    assert_times_out(
        &format!("wait --timeout 3500ms {target}"),
        &format!("pollset: {target}: no answer in 3 seconds\n"),
    );
}

#[test]
fn interface_can_come_up_later() {
    let script = "$pollset serve --listen 0.0.0.0:7007 >/dev/null 2>&1 & server=$!
         (sleep 0.5; ip link set lo up) &
         wait --timeout 100ms tcp:127.0.0.1:7007 2>&1
         wait --timeout 30s tcp:127.0.0.1:7007; kill $server";
    let Some(output) = sh_in_namespaces(script) else { return };
    let unreachable = text_of(Errno::NETUNREACH);
    let expected = format!("pollset: tcp:127.0.0.1:7007: {unreachable}\ntcp:127.0.0.1:7007 out\n");
    assert_printed(&output, &expected);
}

#[test]
fn socket_that_has_connected_to_itself_is_not_a_service() {
    // Of the ports that the kernel gives, one is that of the target, sooner or later.
    let script = "ip link set lo up
         echo 40000 40001 >/proc/sys/net/ipv4/ip_local_port_range
         wait --timeout 2s tcp:127.0.0.1:40000";
    let Some(output) = sh_in_namespaces(script) else { return };
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(stderr(&output), "pollset: tcp:127.0.0.1:40000: Connection refused\n");
}
