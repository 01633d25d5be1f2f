//! The examples, run as separate programs.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

/// `cargo test` also builds the examples, unless it is limited to some tests.
fn path_of(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(path.exists(), "no {}: run cargo build --examples", path.display());
    path
}

/// A running server.
struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Server {
    fn start(name: &str, arguments: &[&str]) -> Self {
        Self::run(Command::new(path_of(name)).args(arguments))
    }

    /// With a limit of 12 descriptors.
    fn start_with_few_descriptors(name: &str) -> Self {
        Self::run(Command::new("sh").args(["-c", "ulimit -n 12; exec \"$0\""]).arg(path_of(name)))
    }

    fn run(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on ").unwrap().parse().unwrap();
        Self { child, stdout, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Closes its input, and checks that it exits successfully without further output.
    fn stop(mut self) {
        drop(self.child.stdin.take());
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A failed test leaves it running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn assert_echoes(mut stream: &TcpStream, message: &[u8]) {
    stream.write_all(message).unwrap();
    let mut reply = vec![0; message.len()];
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(reply, message);
}

fn assert_disconnected(mut stream: &TcpStream) {
    match stream.read(&mut [0]) {
        Ok(count) => assert_eq!(count, 0),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

#[test]
fn echo_serves_many_short_lived_clients() {
    let server = Server::start("echo", &["127.0.0.1:0"]);
    let first = server.connect();
    for round in 0..3 {
        let clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
        for (number, client) in clients.iter().enumerate() {
            assert_echoes(client, format!("{round}, {number}").as_bytes());
        }
        assert_echoes(&first, b"still here");
    }
    server.stop();
    assert_disconnected(&first);
}

#[test]
fn echo_serves_other_clients_while_one_does_not_read() {
    let server = Server::start("echo", &[]);
    let mut slow = server.connect();
    slow.set_nonblocking(true).unwrap();
    let (mut sent, mut failures) = (0_u64, 0);
    while failures < 20 {
        match slow.write(&[b'x'; 64 * 1024]) {
            Ok(count) => {
                sent += count as u64;
                failures = 0;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                failures += 1;
                thread::sleep(Duration::from_millis(5));
            }
        }
    }
    assert_echoes(&server.connect(), b"hello");

    slow.set_nonblocking(false).unwrap();
    slow.shutdown(Shutdown::Write).unwrap();
    let mut reply = Vec::new();
    slow.read_to_end(&mut reply).unwrap();
    assert_eq!(reply.len() as u64, sent);
    server.stop();
}

#[test]
fn echo_serves_waiting_clients_when_descriptors_become_free() {
    let server = Server::start_with_few_descriptors("echo");
    let clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
    for client in &clients {
        assert_echoes(client, b"hello");
        client.shutdown(Shutdown::Both).unwrap();
    }
    server.stop();
}

#[test]
fn workers_share_a_port() {
    let server = Server::start("workers", &["127.0.0.1:0", "4"]);
    let clients: Vec<_> = (0..40).map(|_| server.connect()).collect();
    for (number, client) in clients.iter().enumerate() {
        assert_echoes(client, &[number as u8; 100_000]);
    }
    server.stop();
    clients.iter().for_each(assert_disconnected);
}

/// A client of the chat server.
struct Client {
    name: SocketAddr,
    stream: BufReader<TcpStream>,
}

impl Client {
    fn join(server: &Server, others: &mut [&mut Client]) -> Self {
        let stream = server.connect();
        let name = stream.local_addr().unwrap();
        for other in others {
            other.assert_receives(&format!("{name} is here"));
        }
        Self { name, stream: BufReader::new(stream) }
    }

    fn send(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn assert_receives(&mut self, expected: &str) {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), expected);
    }
}

#[test]
fn chat_sends_each_line_to_all_other_clients() {
    let server = Server::start("chat", &[]);
    let mut one = Client::join(&server, &mut []);
    let mut two = Client::join(&server, &mut [&mut one]);
    let mut three = Client::join(&server, &mut [&mut one, &mut two]);

    one.send("hello\nhow are");
    two.assert_receives(&format!("{}: hello", one.name));
    three.assert_receives(&format!("{}: hello", one.name));
    two.send("fine\n");
    one.assert_receives(&format!("{}: fine", two.name));
    three.assert_receives(&format!("{}: fine", two.name));
    one.send(" you?\n");
    two.assert_receives(&format!("{}: how are you?", one.name));
    three.assert_receives(&format!("{}: how are you?", one.name));

    drop(one.stream);
    two.assert_receives(&format!("{} has left", one.name));
    three.assert_receives(&format!("{} has left", one.name));
    server.stop();
    assert_disconnected(two.stream.get_ref());
}

#[test]
fn chat_drops_clients_whose_lines_are_too_long() {
    let server = Server::start("chat", &[]);
    let mut other = Client::join(&server, &mut []);
    let mut client = Client::join(&server, &mut [&mut other]);
    client.send(&"x".repeat(20_000));
    other.assert_receives(&format!("{} has left", client.name));
    server.stop();
}

#[test]
fn chat_drops_clients_that_do_not_read() {
    let server = Server::start("chat", &[]);
    let mut idle = Client::join(&server, &mut []);
    let mut sender = Client::join(&server, &mut [&mut idle]);
    let line = "x".repeat(1000) + "\n";
    let mut writer = sender.stream.get_ref().try_clone().unwrap();
    let idle_name = idle.name;
    thread::scope(|scope| {
        let reader = scope.spawn(|| sender.assert_receives(&format!("{idle_name} has left")));
        while !reader.is_finished() {
            writer.write_all(line.as_bytes()).unwrap();
        }
        reader.join().unwrap();
    });
    server.stop();
}

#[test]
fn chat_accepts_waiting_clients_when_descriptors_become_free() {
    let server = Server::start_with_few_descriptors("chat");
    let clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
    for pair in clients.windows(2) {
        let (mut one, next) = (BufReader::new(&pair[0]), &pair[1]);
        let name = next.local_addr().unwrap();
        let mut line = String::new();
        while line.trim_end() != format!("{name} is here") {
            line.clear();
            assert!(one.read_line(&mut line).unwrap() > 0);
        }
        pair[0].shutdown(Shutdown::Both).unwrap();
    }
    server.stop();
}

#[test]
fn timers_print_in_deadline_order() {
    let mut child = Command::new(path_of("timers"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdin.write_all(b"3600 never\n0 at once\n").unwrap();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "at once\n");
    stdin.write_all(b"0.01 before the pending deadline\n").unwrap();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "at once\nbefore the pending deadline\n");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn timers_exit_after_the_last_reminder() {
    let mut child = Command::new(path_of("timers"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"0.5 later\nnonsense\n0.1 sooner\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "sooner\nlater\n");
    assert!(output.stderr.starts_with(b"a line is"));
    assert!(output.status.success());
}
