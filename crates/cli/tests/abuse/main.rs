//! `pollset serve` under clients that misbehave, while another one, the probe, is served as ever.
//!
//! `cargo test --release -p pollset-cli --test abuse -- --nocapture --test-threads 1` prints how
//! long the probe waited; with `POLLSET_LONG=1` there are more clients, and up to 9,000 that leave.

#![cfg(target_os = "linux")]

#[path = "../util/mod.rs"]
mod util;

mod client;
mod probe;
mod process;

use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::{SendFlags, send};
use rustix::process::Signal;

use client::{CLIENT_BUFFERS, Client};
use probe::Probe;
use process::Process;
use util::{Server, assert_echoes};

/// What the server keeps for a client at most, and the size of each of the system's buffers for it.
const CHUNK: usize = 64 * 1024;
/// The system counts its own overhead in, and doubles the size for that.
const SYSTEM: usize = 2 * 2 * CHUNK;
/// What a client costs the server besides: a registration, a socket, the page that an allocation
/// begins in.
const OVERHEAD: usize = 8 * 1024;

fn is_long() -> bool {
    std::env::var_os("POLLSET_LONG").is_some_and(|long| long == "1")
}

/// The first number in an ordinary run, the second in a long one.
fn either(ordinary: usize, long: usize) -> usize {
    if is_long() { long } else { ordinary }
}

/// How long an abuse lasts that could go on for ever.
fn a_while() -> Duration {
    Duration::from_millis(either(500, 5000) as u64)
}

/// Abuses a server, and asserts that the probe gets all its answers meanwhile, and that nothing is
/// left of the abuse when its clients are gone. Returns what the server says at the end.
fn abuse(name: &str, clients: usize, abuse: impl FnOnce(&Server)) -> String {
    abuse_server(Server::start(), name, clients, abuse)
}

fn abuse_server(server: Server, name: &str, clients: usize, abuse: impl FnOnce(&Server)) -> String {
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let process = Process::of(&server);
    let probe = Probe::start(&server);
    let descriptors = process.descriptors();
    thread::sleep(Duration::from_millis(300));
    let before = probe.stop();

    let probe = Probe::start(&server);
    abuse(&server);
    let during = probe.stop();
    println!("{name:<40} {clients:>6} {before} {during}");

    // The probe's place is taken by this one.
    let late = server.connect();
    assert_echoes(&late, b"still here");
    process.wait_until("its descriptors are closed", |process| {
        // It may have got an epoll instance meanwhile.
        process.descriptors() <= descriptors + 1
    });
    let (code, stdout, stderr) = server.stop(Signal::TERM);
    assert_eq!(code, Some(0), "{stderr}");
    stdout
}

#[track_caller]
fn assert_memory(grown: usize, clients: usize, for_each: usize) {
    println!("{:<40} {} bytes of memory for each client", "", grown / clients);
    assert!(grown <= clients * for_each, "{grown} bytes for {clients} clients");
}

#[test]
fn clients_that_never_read_hold_what_the_rule_says() {
    let count = either(100, 1000);
    abuse("never read", count, |server| {
        let process = Process::of(server);
        let resident = process.resident();
        let mut clients = Client::connect_many(server, count);
        send_until_stuck(&mut clients);
        assert_memory(process.resident().saturating_sub(resident), count, CHUNK + OVERHEAD);
        for client in &clients {
            let held = client.sent - client.heard;
            assert!(held <= CHUNK + SYSTEM + CLIENT_BUFFERS, "{held} bytes");
        }
        let (patient, rude) = clients.split_at_mut(count / 2);
        patient.iter_mut().for_each(Client::hear_all);
        rude.iter().for_each(Client::reset_on_close);
    });
}

/// Fills what the server and the system hold for clients that don't read.
fn send_until_stuck(clients: &mut [Client]) {
    let mut stuck_for = 0;
    while stuck_for < 5 {
        let sent: usize = clients.iter_mut().map(|client| client.say(CHUNK)).sum();
        stuck_for = if sent > 0 { 0 } else { stuck_for + 1 };
        thread::sleep(Duration::from_millis(20));
    }
}

/// Has each send so much at a time, as often as it can, and read what has come back.
fn talk(clients: &mut [Client], size: usize) {
    let end = Instant::now() + a_while();
    while Instant::now() < end {
        for client in &mut *clients {
            client.say(size);
            client.hear(CHUNK);
        }
    }
}

#[test]
fn clients_that_send_as_fast_as_they_can() {
    let count = either(20, 100);
    abuse("send as fast as they can", count, |server| {
        let process = Process::of(server);
        let resident = process.resident();
        let mut clients = Client::connect_many(server, count);
        talk(&mut clients, CHUNK);
        assert_memory(process.resident().saturating_sub(resident), count, CHUNK + OVERHEAD);
        clients.iter_mut().for_each(Client::hear_all);
    });
}

#[test]
fn clients_that_send_byte_by_byte() {
    let count = either(500, 2000);
    abuse("send byte by byte", count, |server| {
        let process = Process::of(server);
        let resident = process.resident();
        let mut clients = Client::connect_many(server, count);
        talk(&mut clients, 1);
        assert_memory(process.resident().saturating_sub(resident), count, OVERHEAD);
        clients.iter_mut().for_each(Client::hear_all);
    });
}

#[test]
fn clients_with_small_windows_that_read_a_little_at_a_time() {
    let count = either(100, 1000);
    abuse("small window, read 100 bytes at a time", count, |server| {
        let connect = |number| Client::connect_with_window(server, number, 4096);
        let mut clients: Vec<_> = (0..count).map(connect).collect();
        let end = Instant::now() + a_while();
        while Instant::now() < end {
            for client in &mut clients {
                client.say(1000);
                client.hear(100);
            }
        }
        assert!(clients.iter().all(|client| client.heard > 0));
    });
}

#[test]
fn clients_that_stop_sending_and_go_on_reading() {
    let count = either(100, 1000);
    abuse("half-close when stuck, then read", count, |server| {
        let mut clients = Client::connect_many(server, count);
        send_until_stuck(&mut clients);
        for client in &clients {
            client.stream.shutdown(Shutdown::Write).unwrap();
        }
        for client in &mut clients {
            client.hear_all();
            assert!(client.hears_the_end());
        }
    });
}

#[test]
fn connections_that_are_reset_at_once() {
    let count = either(2000, 20_000);
    abuse("connect, send, reset", count, |server| {
        for number in 0..count {
            let mut client = Client::connect(server, number);
            client.say(number % 3 * 1000);
            client.reset_on_close();
        }
    });
}

#[test]
fn clients_that_leave_at_once() {
    for (name, resets) in [("leave at once by FIN", false), ("leave at once by RST", true)] {
        let count = either(2000, 9000);
        let stdout = abuse(name, count, |server| {
            let mut clients = Client::connect_many(server, count);
            for client in &mut clients {
                client.say(10);
            }
            clients.iter_mut().for_each(Client::hear_all);
            if resets {
                clients.iter().for_each(Client::reset_on_close);
            }
            drop(clients);
            Process::of(server).wait_until("they are gone", |server| server.descriptors() < 20);
        });
        let failed = if resets { count } else { 0 };
        let stdout = stdout.replace(',', "");
        assert!(stdout.contains(&format!(" {failed} connections failed")), "{stdout}");
    }
}

#[test]
fn connections_beyond_the_limit_of_descriptors() {
    let limit = either(200, 5000);
    let script = format!("ulimit -n {limit}; exec \"$POLLSET\" serve --listen 127.0.0.1:0");
    let server = Server::start_in_shell(&script);
    let count = limit + either(400, 3000);
    abuse_server(server, "connect beyond the limit", count, |server| {
        let process = Process::of(server);
        let mut clients = Client::connect_many(server, count);
        process.wait_until("it is full", |process| process.descriptors() >= limit);
        let (start, cpu) = (Instant::now(), process.cpu());
        thread::sleep(2 * a_while());
        let (elapsed, cpu) = (start.elapsed(), process.cpu() - cpu);
        println!("{:<40} {cpu:?} of the processor in {elapsed:.1?}", "");
        assert!(cpu < elapsed / 2, "{cpu:?} of {elapsed:?}");

        for client in &mut clients {
            client.say(100);
        }
        while clients.len() > limit / 2 {
            clients.drain(..limit / 2).for_each(|mut client| client.hear_all());
        }
        clients.iter_mut().for_each(Client::hear_all);
    });
}

#[test]
fn a_full_server_waits_quietly_and_leaves_when_told_to() {
    let start = Instant::now();
    let server =
        Server::start_in_shell("ulimit -n 50; exec \"$POLLSET\" serve --listen 127.0.0.1:0");
    let clients = Client::connect_many(&server, 100);
    Process::of(&server).wait_until("it is full", |process| process.descriptors() >= 50);
    thread::sleep(Duration::from_millis(500));
    let (code, stdout, stderr) = server.stop(Signal::TERM);
    assert_eq!(code, Some(0), "{stderr}");
    let (_, engine) = stdout.split_once("engine").unwrap();
    let engine = engine.replace(',', "");
    let waits: usize = engine.split(' ').filter_map(|word| word.parse::<usize>().ok()).sum();
    // One for each client, and then two for each pause in accepting, and those without news.
    let quietly = 2 * clients.len() + 30 * start.elapsed().as_secs_f64().ceil() as usize;
    assert!(waits < quietly, "{stdout}");
}

#[test]
fn everything_at_once() {
    abuse("everything at once", either(300, 3000), |server| {
        let some = either(100, 1000);
        let mut stuck = Client::connect_many(server, some);
        send_until_stuck(&mut stuck);
        let end = Instant::now() + a_while();
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut number = 0;
                while Instant::now() < end {
                    let mut client = Client::connect(server, number);
                    client.say(CHUNK);
                    client.reset_on_close();
                    number += 1;
                }
            });
            scope.spawn(|| {
                let mut clients = Client::connect_many(server, some);
                let mut sizes = [1, 100, 10_000, CHUNK].into_iter().cycle();
                while Instant::now() < end {
                    for client in &mut clients {
                        client.say(sizes.next().unwrap());
                        client.hear(CHUNK);
                    }
                }
                clients.iter_mut().for_each(Client::hear_all);
            });
            scope.spawn(|| {
                while Instant::now() < end {
                    let mut clients = Client::connect_many(server, some);
                    clients.iter_mut().for_each(|client| _ = client.say(10));
                }
            });
        });
        stuck.iter_mut().for_each(Client::hear_all);
    });
}

#[test]
fn urgent_data_comes_back_in_its_place() {
    let server = Server::start();
    let client = server.connect();
    assert_echoes(&client, b"hello");
    for urgent in [b"!", b"?"] {
        send(&client, b"before", SendFlags::empty()).unwrap();
        send(&client, urgent, SendFlags::OOB).unwrap();
        send(&client, b"after", SendFlags::empty()).unwrap();
        let mut answer = [0; 12];
        std::io::Read::read_exact(&mut &client, &mut answer).unwrap();
        assert_eq!(answer[6..7], urgent[..]);
        assert_eq!((&answer[..6], &answer[7..]), (&b"before"[..], &b"after"[..]));
    }
}

/// A client that has vanished says nothing, and nothing tells the server but these questions.
#[test]
fn a_silent_client_is_asked_whether_it_is_there() {
    let server = Server::start();
    let client = server.connect();
    assert_echoes(&client, b"hello");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_asked_within(&client, Duration::from_secs(60)) {
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_millis(10));
    }
}

/// Whether the socket at the other end runs its keepalive timer, as proc_net_tcp.txt describes.
fn is_asked_within(client: &TcpStream, silence: Duration) -> bool {
    const KEEPALIVE: &str = "02";
    const TICKS_A_SECOND: u64 = 100;
    let port = |address: &str| u16::from_str_radix(address.rsplit(':').next()?, 16).ok();
    let ports = |local, remote| Some((port(local)?, port(remote)?));
    let here = client.local_addr().unwrap().port();
    let there = client.peer_addr().unwrap().port();
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().any(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let (timer, expires) = fields[5].split_once(':').unwrap_or_default();
        ports(fields[1], fields[2]) == Some((there, here))
            && timer == KEEPALIVE
            && u64::from_str_radix(expires, 16).unwrap() <= silence.as_secs() * TICKS_A_SECOND
    })
}
