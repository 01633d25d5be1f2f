//! `pollset serve` over real sockets.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use rustix::process::{Pid, Signal, kill_process};

const POLLSET: &str = env!("CARGO_BIN_EXE_pollset");

fn sh(script: &str) -> Output {
    Command::new("sh")
        .args(["-c", script])
        .env("POLLSET", POLLSET)
        .output()
        .unwrap()
}

/// `pollset serve --listen`, running.
struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Server {
    fn start() -> Self {
        Self::start_in_shell("exec \"$POLLSET\" serve --listen 127.0.0.1:0")
    }

    fn start_in_shell(script: &str) -> Self {
        let mut child = Command::new("sh")
            .args(["-c", script])
            .env("POLLSET", POLLSET)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.split([' ', ',']).nth(2).unwrap().parse().unwrap();
        Self {
            child,
            stdout,
            address,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream
    }

    /// Sends a signal, and returns the exit status and the rest of the output.
    fn stop(mut self, signal: Signal) -> (Option<i32>, String, String) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.stdout.read_to_string(&mut stdout).unwrap();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut stderr)
            .unwrap();
        (self.child.wait().unwrap().code(), stdout, stderr)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn assert_echoes(mut client: &TcpStream, text: &[u8]) {
    client.write_all(text).unwrap();
    let mut answer = vec![0; text.len()];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(answer, text);
}

/// Fills what the server and the system hold for a client that doesn't read.
fn send_until_stuck(mut client: &TcpStream) -> usize {
    client.set_nonblocking(true).unwrap();
    let mut sent = 0;
    let mut stuck_for = 0;
    while stuck_for < 10 {
        match client.write(&[b'x'; 65536]) {
            Ok(count) => (sent, stuck_for) = (sent + count, 0),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                stuck_for += 1;
                thread::sleep(Duration::from_millis(20));
            }
            Err(error) => panic!("{error}"),
        }
    }
    client.set_nonblocking(false).unwrap();
    sent
}

#[test]
fn a_crowd_is_served_without_loss() {
    let output = sh("\"$POLLSET\" serve --clients 300 --active 20 --duration 1s");
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stdout}");
    assert!(stdout.contains("300, of which 20 talking"), "{stdout}");
    assert!(
        stdout.contains("0 lost, 0 changed, 0 clients dropped"),
        "{stdout}"
    );
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("messages/s")
    );
}

#[test]
fn messages_larger_than_the_buffers_come_back_intact() {
    let output = sh("\"$POLLSET\" serve --clients 8 --active 8 --duration 1s --size 1048576");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn the_soft_limit_of_descriptors_is_raised() {
    let output = sh("ulimit -Sn 64; \"$POLLSET\" serve --clients 200 --duration 100ms");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn more_clients_than_the_hard_limit_allows_is_said_clearly() {
    let output = sh("ulimit -n 100; \"$POLLSET\" serve --clients 200");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("no room for 200 clients"), "{stderr}");
    assert!(stderr.contains("--clients 76 would do"), "{stderr}");
}

#[test]
fn more_talkers_than_clients_is_misuse() {
    let output = sh("\"$POLLSET\" serve --clients 3 --active 4");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn a_server_leaves_cleanly_when_told_to() {
    for signal in [Signal::INT, Signal::TERM] {
        let server = Server::start();
        assert_echoes(&server.connect(), b"hello");
        let (code, stdout, stderr) = server.stop(signal);
        assert_eq!(code, Some(0), "{stderr}");
        assert!(
            stdout.contains("1 clients accepted, 5 B sent back"),
            "{stdout}"
        );
    }
}

#[test]
fn a_slow_reader_gets_everything_and_holds_nobody_up() {
    let server = Server::start();
    let mut slow = server.connect();
    let sent = send_until_stuck(&slow);
    for _ in 0..100 {
        assert_echoes(&server.connect(), b"quick");
    }
    slow.shutdown(Shutdown::Write).unwrap();
    let mut everything = Vec::new();
    slow.read_to_end(&mut everything).unwrap();
    assert_eq!(everything.len(), sent);
    assert!(everything.iter().all(|&byte| byte == b'x'));
}

#[test]
fn a_half_closed_client_gets_its_answer_and_the_end() {
    let server = Server::start();
    let mut client = server.connect();
    client.write_all(b"the last words").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "the last words");
}

fn reset(client: &TcpStream) {
    set_socket_linger(client.as_fd(), Some(Duration::ZERO)).unwrap();
}

#[test]
fn resets_disturb_nobody_else() {
    let server = Server::start();
    let steady = server.connect();
    for round in 0..50 {
        let rude = server.connect();
        if round % 2 == 0 {
            send_until_stuck_once(&rude);
        }
        reset(&rude);
        drop(rude);
        assert_echoes(&steady, b"still here");
    }
    let (code, ..) = server.stop(Signal::TERM);
    assert_eq!(code, Some(0));
}

fn send_until_stuck_once(mut client: &TcpStream) {
    client.set_nonblocking(true).unwrap();
    while client.write(&[b'x'; 65536]).is_ok() {}
}

#[test]
fn without_descriptors_new_clients_wait_and_the_others_are_served() {
    let server =
        Server::start_in_shell("ulimit -n 40; exec \"$POLLSET\" serve --listen 127.0.0.1:0");
    let clients: Vec<_> = (0..60).map(|_| server.connect()).collect();
    for client in &clients[..20] {
        assert_echoes(client, b"in time");
    }
    let (first, rest) = clients.split_at(30);
    for client in first {
        client.shutdown(Shutdown::Both).unwrap();
    }
    for client in rest {
        assert_echoes(client, b"at last");
    }
    let (code, stdout, stderr) = server.stop(Signal::TERM);
    assert_eq!(code, Some(0));
    assert!(stdout.contains("60 clients accepted"), "{stdout}");
    assert!(stderr.contains("new ones have to wait"), "{stderr}");
}

/// Lets the crowd talk to a server that does what `serve` does to the first client, and echoes to
/// the others. Returns what the crowd reports at the end.
fn verdict_on(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let (first, _) = listener.accept().unwrap();
        thread::spawn(move || serve(first));
        for client in listener.incoming() {
            let client = client.unwrap();
            thread::spawn(move || std::io::copy(&mut &client, &mut &client));
        }
    });
    let arguments = [
        "--clients",
        "4",
        "--active",
        "2",
        "--duration",
        "300ms",
        "--size",
        "64",
    ];
    let output = Command::new(POLLSET)
        .args(["crowd", &address])
        .args(arguments)
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    stdout.lines().last().unwrap().to_owned()
}

#[test]
fn the_crowd_notices_a_changed_message() {
    let verdict = verdict_on(|mut client| {
        let mut message = [0; 64];
        while client.read_exact(&mut message).is_ok() {
            message[17] ^= 1;
            client.write_all(&message).unwrap();
        }
    });
    assert!(!verdict.contains("\"corrupted\":0,"), "{verdict}");
    assert!(verdict.contains("\"lost\":0,\"dropped\":0"), "{verdict}");
}

#[test]
fn the_crowd_notices_a_dropped_client() {
    let verdict = verdict_on(drop);
    assert!(
        verdict.contains("\"corrupted\":0,\"lost\":0,\"dropped\":1"),
        "{verdict}"
    );
}

#[test]
fn the_crowd_notices_a_lost_message() {
    let verdict = verdict_on(|mut client| {
        let _ = client.read_to_end(&mut Vec::new());
    });
    assert!(
        verdict.contains("\"corrupted\":0,\"lost\":1,\"dropped\":0"),
        "{verdict}"
    );
}
