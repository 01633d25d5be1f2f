//! Runs `pollset serve` with TCP clients.

mod util;

use std::fs;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::sockopt::set_socket_linger;
use rustix::process::{Pid, Signal, getpgid, kill_process, kill_process_group};

use util::{POLLSET, Server, assert_echoes};

fn sh(script: &str) -> Output {
    Command::new("sh").args(["-c", script]).env("POLLSET", POLLSET).output().unwrap()
}

/// Sends until all buffers between the client and the server are full. Returns the number of bytes.
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
fn all_messages_of_the_load_generator_are_echoed() {
    let output = sh("\"$POLLSET\" serve --clients 300 --active 20 --duration 1s");
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stdout}");
    assert!(stdout.contains("300, of which 20 active"), "{stdout}");
    assert!(stdout.contains("0 lost, 0 changed, 0 clients dropped"), "{stdout}");
    assert!(String::from_utf8(output.stderr).unwrap().contains("messages/s"));
}

#[test]
fn messages_larger_than_the_buffers_come_back_intact() {
    let output = sh("\"$POLLSET\" serve --clients 8 --active 8 --duration 1s --size 1048576");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn soft_fd_limit_is_raised() {
    let output = sh("ulimit -Sn 64; \"$POLLSET\" serve --clients 200 --duration 100ms");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

/// The number of clients that the error suggests for a limit of 100 descriptors.
fn suggested_clients(redirections: &str) -> usize {
    let output = sh(&format!("ulimit -n 100; \"$POLLSET\" serve --clients 200 {redirections}"));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("no room for 200 clients"), "{stderr}");
    let (_, advice) = stderr.split_once("--clients ").unwrap();
    advice.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn usage_error_suggests_the_number_of_clients_that_the_hard_limit_allows() {
    let output = sh(&format!(
        "ulimit -n 100; \"$POLLSET\" serve --clients {} --duration 100ms",
        suggested_clients("")
    ));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn inherited_descriptors_reduce_the_number_of_clients() {
    let inherited = "5</dev/null 6</dev/null 7</dev/null 8</dev/null 9</dev/null";
    let closed = "5<&- 6<&- 7<&- 8<&- 9<&-";
    assert_eq!(suggested_clients(inherited) + 5, suggested_clients(closed));
}

#[test]
fn numbers_out_of_range_are_usage_errors() {
    for (option, advice) in [
        ("--clients 18446744073709551615", "2147483647"),
        ("--active 18446744073709551615", "2147483647"),
        ("--duration 0", "more than 0"),
        ("--duration 9999999h", "the maximum is"),
    ] {
        let output = sh(&format!("\"$POLLSET\" serve {option}"));
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(String::from_utf8(output.stderr).unwrap().contains(advice), "{option}");
    }
}

#[test]
fn more_active_clients_than_clients_is_a_usage_error() {
    let output = sh("\"$POLLSET\" serve --clients 3 --active 4");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn sigint_and_sigterm_stop_the_server() {
    for signal in [Signal::INT, Signal::TERM] {
        let server = Server::start();
        assert_echoes(&server.connect(), b"hello");
        let (code, stdout, stderr) = server.stop(signal);
        assert_eq!(code, Some(0), "{stderr}");
        assert!(stdout.contains("1 clients accepted, 5 B sent back"), "{stdout}");
    }
}

#[test]
fn slow_reader_gets_everything_and_delays_no_other_client() {
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
fn half_closed_client_gets_its_echo_and_the_end() {
    let server = Server::start();
    let mut client = server.connect();
    client.write_all(b"last message").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut echo = String::new();
    client.read_to_string(&mut echo).unwrap();
    assert_eq!(echo, "last message");
}

fn reset_on_close(client: &TcpStream) {
    set_socket_linger(client.as_fd(), Some(Duration::ZERO)).unwrap();
}

#[test]
fn resets_do_not_disturb_other_clients() {
    let server = Server::start();
    let steady = server.connect();
    for round in 0..50 {
        let resetting = server.connect();
        if round % 2 == 0 {
            fill_own_buffers(&resetting);
        }
        reset_on_close(&resetting);
        drop(resetting);
        assert_echoes(&steady, b"still here");
    }
    let (code, ..) = server.stop(Signal::TERM);
    assert_eq!(code, Some(0));
}

fn fill_own_buffers(mut client: &TcpStream) {
    client.set_nonblocking(true).unwrap();
    while client.write(&[b'x'; 65536]).is_ok() {}
}

#[test]
fn without_free_descriptors_new_clients_wait_and_others_are_served() {
    let server =
        Server::start_in_shell("ulimit -n 40; exec \"$POLLSET\" serve --listen 127.0.0.1:0");
    let clients: Vec<_> = (0..60).map(|_| server.connect()).collect();
    for client in &clients[..20] {
        assert_echoes(client, b"accepted");
    }
    let (first, rest) = clients.split_at(30);
    for client in first {
        client.shutdown(Shutdown::Both).unwrap();
    }
    for client in rest {
        assert_echoes(client, b"waited");
    }
    let (code, stdout, stderr) = server.stop(Signal::TERM);
    assert_eq!(code, Some(0));
    assert!(stdout.contains("60 clients accepted"), "{stdout}");
    let reason = io::Error::from(Errno::MFILE);
    assert!(stderr.contains(&format!("({reason})")), "{stderr}");
}

/// Runs the load generator against a server that calls `serve` for the first client and echoes for
/// the others. Returns the last report.
fn last_load_report(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
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
    let arguments = ["--clients", "4", "--active", "2", "--duration", "300ms", "--size", "64"];
    let output = Command::new(POLLSET).args(["load", &address]).args(arguments).output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    stdout.lines().last().unwrap().to_owned()
}

#[test]
fn load_generator_detects_a_changed_message() {
    let report = last_load_report(|mut client| {
        let mut message = [0; 64];
        while client.read_exact(&mut message).is_ok() {
            message[17] ^= 1;
            client.write_all(&message).unwrap();
        }
    });
    assert!(!report.contains("\"corrupted\":0,"), "{report}");
    assert!(report.contains("\"lost\":0,\"dropped\":0"), "{report}");
}

#[test]
fn load_generator_detects_a_dropped_client() {
    let report = last_load_report(drop);
    assert!(report.contains("\"corrupted\":0,\"lost\":0,\"dropped\":1"), "{report}");
}

#[test]
fn load_generator_detects_a_lost_message() {
    let report = last_load_report(|mut client| {
        let _ = client.read_to_end(&mut Vec::new());
    });
    assert!(report.contains("\"corrupted\":0,\"lost\":1,\"dropped\":0"), "{report}");
}

/// A run of `serve` that takes longer than the test. It has a process group of its own, as if a
/// shell had started it.
struct LongRun {
    server: Child,
    stderr: BufReader<ChildStderr>,
}

impl LongRun {
    /// Returns when the load generator sends messages.
    fn start() -> Self {
        let mut server = Command::new(POLLSET)
            .args(["serve", "--clients", "20", "--duration", "10m"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(server.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("messages/s") {
            line.clear();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "the server has ended");
        }
        Self { server, stderr }
    }

    fn server(&self) -> Pid {
        Pid::from_child(&self.server)
    }

    fn load_generator(&self) -> Pid {
        let is_child = |pid: &Pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let after_name = stat.rsplit(')').next().unwrap();
            after_name.split(' ').nth(2) == Some(&self.server().to_string())
        };
        let pid = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
        fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| Pid::from_raw(pid(entry.ok()?)?))
            .find(is_child)
            .expect("no load generator")
    }

    /// Waits until both processes have ended, which share standard error. Returns the exit status
    /// and the rest of standard error.
    fn end(mut self) -> (Option<i32>, String) {
        let mut stderr = String::new();
        self.stderr.read_to_string(&mut stderr).unwrap();
        (self.server.wait().unwrap().code(), stderr)
    }
}

#[test]
fn ctrl_c_stops_the_server_and_the_load_generator() {
    let run = LongRun::start();
    assert_ne!(getpgid(Some(run.load_generator())), getpgid(Some(run.server())));
    kill_process_group(run.server(), Signal::INT).unwrap();
    let (code, stderr) = run.end();
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("stopped before the end"), "{stderr}");
}

#[test]
fn load_generator_ends_when_the_server_is_killed() {
    let run = LongRun::start();
    kill_process(run.server(), Signal::KILL).unwrap();
    let (code, stderr) = run.end();
    assert_eq!(code, None);
    assert!(!stderr.contains("pollset:"), "{stderr}");
}

#[test]
fn server_ends_when_the_load_generator_is_killed() {
    let run = LongRun::start();
    kill_process(run.load_generator(), Signal::KILL).unwrap();
    let (code, stderr) = run.end();
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("the load generator ended early"), "{stderr}");
}

#[test]
fn closed_output_pipe_is_no_failure() {
    for redirections in ["2>&1 >/dev/null", "2>/dev/null", "2>&1"] {
        let output = sh(&format!(
            "exec 3>&1
             {{
                 sleep 0.2; \"$POLLSET\" serve --clients 20 --duration 400ms; echo $? >&3
             }} {redirections} | true"
        ));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "0\n", "{redirections}");
    }
}

#[test]
fn full_output_device_is_a_failure() {
    let output = sh("\"$POLLSET\" serve --clients 20 --duration 100ms >/dev/full");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("can't write to standard output"), "{stderr}");
}

#[test]
fn server_runs_and_stops_with_a_full_output_device() {
    let mut server = Command::new("sh")
        .args(["-c", "exec \"$POLLSET\" serve --listen 127.0.0.1:0 >/dev/full"])
        .env("POLLSET", POLLSET)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(server.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert!(line.contains("can't write to standard output"), "{line}");
    kill_process(Pid::from_child(&server), Signal::TERM).unwrap();
    assert_eq!(server.wait().unwrap().code(), Some(1));
}

#[test]
fn address_in_use_is_a_system_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let output = sh(&format!("\"$POLLSET\" serve --listen {}", taken.local_addr().unwrap()));
    assert_eq!(output.status.code(), Some(3), "{output:?}");
}

#[test]
fn invalid_address_is_a_usage_error() {
    for address in ["7007", "127.0.0.1", "127.0.0.1:99999"] {
        let output = sh(&format!("\"$POLLSET\" serve --listen {address}"));
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
}

#[test]
fn clients_have_one_second_to_receive_unsent_bytes() {
    let server = Server::start();
    let stuck = server.connect();
    send_until_stuck(&stuck);
    let start = Instant::now();
    let (code, ..) = server.stop(Signal::TERM);
    assert_eq!(code, Some(0));
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[test]
fn second_signal_ends_the_server_at_once() {
    let run = |_| {
        let server = Server::start();
        let stuck = server.connect();
        send_until_stuck(&stuck);
        let start = Instant::now();
        kill_process(server.pid(), Signal::INT).unwrap();
        let (code, ..) = server.stop(Signal::TERM);
        assert_eq!(code, Some(0));
        start.elapsed()
    };
    let quickest = (0..3).map(run).min().unwrap();
    assert!(quickest < Duration::from_secs(1), "{quickest:?}");
}

#[test]
fn engine_option_selects_the_system_call() {
    let run = |engine| {
        let output =
            sh(&format!("\"$POLLSET\" serve --clients 20 --duration 100ms --engine {engine}"));
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(run("poll").contains("engine      0 waits on epoll, "));
    assert!(run("epoll").contains(" waits on epoll, 0 on poll\n"));
    assert!(run("auto").contains(" waits on epoll, "));

    let server =
        Server::start_in_shell("exec \"$POLLSET\" serve --engine epoll --listen 127.0.0.1:0");
    assert_echoes(&server.connect(), b"hello");
    let (_, stdout, _) = server.stop(Signal::TERM);
    assert!(stdout.contains(" waits on epoll, 0 on poll\n"), "{stdout}");
}
