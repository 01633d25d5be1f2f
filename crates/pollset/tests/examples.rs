//! The examples, run as a user runs them.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

/// `cargo test` builds the examples, too, unless it is told to build some tests only.
fn path_of(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(path.exists(), "there is no {}: cargo build --examples makes it", path.display());
    path
}

/// An example that serves, running.
struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Server {
    fn start(name: &str, arguments: &[&str]) -> Self {
        Self::run(Command::new(path_of(name)).args(arguments))
    }

    /// With few descriptors.
    fn start_poor(name: &str) -> Self {
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

    /// Ends its input, and checks that it ends well and has said nothing more.
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
        // A test that failed has left it running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn assert_echoes(mut stream: &TcpStream, message: &[u8]) {
    stream.write_all(message).unwrap();
    let mut answer = vec![0; message.len()];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, message);
}

fn assert_has_ended(mut stream: &TcpStream) {
    match stream.read(&mut [0]) {
        Ok(count) => assert_eq!(count, 0),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

#[test]
fn echo_serves_many_clients_that_come_and_go() {
    let server = Server::start("echo", &["127.0.0.1:0"]);
    let stays = server.connect();
    for round in 0..3 {
        let clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
        for (number, client) in clients.iter().enumerate() {
            assert_echoes(client, format!("{round}, {number}").as_bytes());
        }
        assert_echoes(&stays, b"still here");
    }
    server.stop();
    assert_has_ended(&stays);
}

#[test]
fn echo_serves_the_others_while_a_client_does_not_take_what_it_is_owed() {
    let server = Server::start("echo", &[]);
    let mut slow = server.connect();
    slow.set_nonblocking(true).unwrap();
    let (mut sent, mut refused) = (0_u64, 0);
    while refused < 20 {
        match slow.write(&[b'x'; 64 * 1024]) {
            Ok(count) => {
                sent += count as u64;
                refused = 0;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                refused += 1;
                thread::sleep(Duration::from_millis(5));
            }
        }
    }
    assert_echoes(&server.connect(), b"hello");

    slow.set_nonblocking(false).unwrap();
    slow.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    slow.read_to_end(&mut answer).unwrap();
    assert_eq!(answer.len() as u64, sent);
    server.stop();
}

#[test]
fn echo_lets_clients_wait_while_there_is_no_descriptor_for_them() {
    let server = Server::start_poor("echo");
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
    clients.iter().for_each(assert_has_ended);
}

/// A client of the chat.
struct Talker {
    name: SocketAddr,
    stream: BufReader<TcpStream>,
}

impl Talker {
    fn join(server: &Server, others: &mut [&mut Talker]) -> Self {
        let stream = server.connect();
        let name = stream.local_addr().unwrap();
        for other in others {
            other.assert_hears(&format!("{name} is here"));
        }
        Self { name, stream: BufReader::new(stream) }
    }

    fn say(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn assert_hears(&mut self, expected: &str) {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), expected);
    }
}

#[test]
fn chat_tells_everybody_what_the_others_say() {
    let server = Server::start("chat", &[]);
    let mut one = Talker::join(&server, &mut []);
    let mut two = Talker::join(&server, &mut [&mut one]);
    let mut three = Talker::join(&server, &mut [&mut one, &mut two]);

    one.say("hello\nhow are");
    two.assert_hears(&format!("{}: hello", one.name));
    three.assert_hears(&format!("{}: hello", one.name));
    two.say("fine\n");
    one.assert_hears(&format!("{}: fine", two.name));
    three.assert_hears(&format!("{}: fine", two.name));
    one.say(" you?\n");
    two.assert_hears(&format!("{}: how are you?", one.name));
    three.assert_hears(&format!("{}: how are you?", one.name));

    drop(one.stream);
    two.assert_hears(&format!("{} has left", one.name));
    three.assert_hears(&format!("{} has left", one.name));
    server.stop();
    assert_has_ended(two.stream.get_ref());
}

#[test]
fn chat_drops_clients_whose_lines_do_not_end() {
    let server = Server::start("chat", &[]);
    let mut polite = Talker::join(&server, &mut []);
    let mut rude = Talker::join(&server, &mut [&mut polite]);
    rude.say(&"x".repeat(20_000));
    polite.assert_hears(&format!("{} has left", rude.name));
    server.stop();
}

#[test]
fn chat_drops_clients_that_do_not_listen() {
    let server = Server::start("chat", &[]);
    let mut deaf = Talker::join(&server, &mut []);
    let mut speaker = Talker::join(&server, &mut [&mut deaf]);
    let line = "x".repeat(1000) + "\n";
    let mut writer = speaker.stream.get_ref().try_clone().unwrap();
    let deaf_name = deaf.name;
    thread::scope(|scope| {
        let hears = scope.spawn(|| speaker.assert_hears(&format!("{deaf_name} has left")));
        while !hears.is_finished() {
            writer.write_all(line.as_bytes()).unwrap();
        }
        hears.join().unwrap();
    });
    server.stop();
}

#[test]
fn chat_lets_clients_wait_while_there_is_no_descriptor_for_them() {
    let server = Server::start_poor("chat");
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
fn timers_speak_in_the_order_of_their_deadlines() {
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
    stdin.write_all(b"0.01 earlier than the one that it waits for\n").unwrap();
    stdout.read_line(&mut line).unwrap();
    assert!(line.ends_with("waits for\n"));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn timers_end_when_all_is_said() {
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
