//! `pollset serve` with clients that misbehave, and one well-behaved client, the probe.
//!
//! `cargo test --release -p pollset-cli --test abuse -- --nocapture --test-threads 1` prints the
//! round trips of the probe, before and during the abuse. `POLLSET_LONG=1` adds clients, and time.

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

use client::{Client, MAX_BUFFERED};
use probe::Probe;
use process::Process;
use util::{Server, assert_echoes};

/// The most that the server keeps for a client, and the size of each of the kernel's two buffers.
const CHUNK: usize = 64 * 1024;
/// The size of both buffers: the kernel doubles it, for its own overhead.
const KERNEL_BUFFERS: usize = 2 * 2 * CHUNK;
/// The other memory of the server for a client: a registration, a socket, and the page in which an
/// allocation begins.
const OVERHEAD: usize = 8 * 1024;

fn is_long() -> bool {
    std::env::var_os("POLLSET_LONG").is_some_and(|long| long == "1")
}

/// The number for a normal run or for a long one (`POLLSET_LONG=1`).
fn normal_or_long(normal: usize, long: usize) -> usize {
    if is_long() { long } else { normal }
}

/// The duration of an abuse that has no end of its own.
fn run_time() -> Duration {
    Duration::from_millis(normal_or_long(500, 5000) as u64)
}

/// Calls `abuse` with a server. Asserts that the probe gets all its echoes meanwhile, and that the
/// server then has closed the descriptors of the clients. Returns the summary of the server.
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

    // Stands in for the probe's connection in the number of descriptors.
    let last = server.connect();
    assert_echoes(&last, b"still here");
    process.wait_until("the descriptors of the clients are closed", |process| {
        // The server may have created an epoll instance.
        process.descriptors() <= descriptors + 1
    });
    let (code, stdout, stderr) = server.stop(Signal::TERM);
    assert_eq!(code, Some(0), "{stderr}");
    stdout
}

#[track_caller]
fn assert_memory(growth: usize, clients: usize, limit: usize) {
    println!("{:<40} {} bytes of memory for each client", "", growth / clients);
    if std::env::var_os("POLLSET_SLOWNESS").is_some() {
        return println!("SKIPPED: the limit of the memory, which may be that of an emulator, too");
    }
    assert!(growth <= clients * limit, "{growth} bytes for {clients} clients");
}

#[test]
fn clients_that_never_read() {
    let count = normal_or_long(100, 1000);
    abuse("never read", count, |server| {
        let process = Process::of(server);
        let resident = process.resident();
        let mut clients = Client::connect_many(server, count);
        send_until_stuck(&mut clients);
        assert_memory(process.resident().saturating_sub(resident), count, CHUNK + OVERHEAD);
        for client in &clients {
            let buffered = client.sent - client.received;
            assert!(buffered <= CHUNK + KERNEL_BUFFERS + MAX_BUFFERED, "{buffered} bytes");
        }
        let (draining, resetting) = clients.split_at_mut(count / 2);
        draining.iter_mut().for_each(Client::receive_all);
        resetting.iter().for_each(Client::reset_on_close);
    });
}

/// Sends until all buffers between the clients and the server are full.
fn send_until_stuck(clients: &mut [Client]) {
    let mut stuck_for = 0;
    while stuck_for < 5 {
        let sent: usize = clients.iter_mut().map(|client| client.send(CHUNK)).sum();
        stuck_for = if sent > 0 { 0 } else { stuck_for + 1 };
        thread::sleep(Duration::from_millis(20));
    }
}

/// Has each client send up to `size` bytes at a time and read the echo, as often as possible.
fn send_and_receive(clients: &mut [Client], size: usize) {
    let end = Instant::now() + run_time();
    while Instant::now() < end {
        for client in &mut *clients {
            client.send(size);
            client.receive(CHUNK);
        }
    }
}

#[test]
fn clients_that_send_as_fast_as_they_can() {
    let count = normal_or_long(20, 100);
    abuse("send as fast as they can", count, |server| {
        let process = Process::of(server);
        let resident = process.resident();
        let mut clients = Client::connect_many(server, count);
        send_and_receive(&mut clients, CHUNK);
        assert_memory(process.resident().saturating_sub(resident), count, CHUNK + OVERHEAD);
        clients.iter_mut().for_each(Client::receive_all);
    });
}

#[test]
fn clients_that_send_byte_by_byte() {
    let count = normal_or_long(500, 2000);
    abuse("send byte by byte", count, |server| {
        let process = Process::of(server);
        let resident = process.resident();
        let mut clients = Client::connect_many(server, count);
        send_and_receive(&mut clients, 1);
        assert_memory(process.resident().saturating_sub(resident), count, OVERHEAD);
        clients.iter_mut().for_each(Client::receive_all);
    });
}

#[test]
fn clients_with_small_windows_that_read_a_little_at_a_time() {
    let count = normal_or_long(100, 1000);
    abuse("small window, read 100 bytes at a time", count, |server| {
        let connect = |number| Client::connect_with_window(server, number, 4096);
        let mut clients: Vec<_> = (0..count).map(connect).collect();
        let end = Instant::now() + run_time();
        while Instant::now() < end {
            for client in &mut clients {
                client.send(1000);
                client.receive(100);
            }
        }
        assert!(clients.iter().all(|client| client.received > 0));
    });
}

#[test]
fn clients_that_shut_down_their_side_and_read() {
    let count = normal_or_long(100, 1000);
    abuse("half-close when stuck, then read", count, |server| {
        let mut clients = Client::connect_many(server, count);
        send_until_stuck(&mut clients);
        for client in &clients {
            client.stream.shutdown(Shutdown::Write).unwrap();
        }
        for client in &mut clients {
            client.receive_all();
            assert!(client.receives_end());
        }
    });
}

#[test]
fn connections_that_are_reset_after_sending() {
    let count = normal_or_long(2000, 20_000);
    abuse("connect, send, reset", count, |server| {
        for number in 0..count {
            let mut client = Client::connect(server, number);
            client.send(number % 3 * 1000);
            client.reset_on_close();
        }
    });
}

#[test]
fn clients_that_close_at_the_same_time() {
    for (name, resets) in [("leave at once by FIN", false), ("leave at once by RST", true)] {
        let count = normal_or_long(2000, 9000);
        let stdout = abuse(name, count, |server| {
            let mut clients = Client::connect_many(server, count);
            for client in &mut clients {
                client.send(10);
            }
            clients.iter_mut().for_each(Client::receive_all);
            if resets {
                clients.iter().for_each(Client::reset_on_close);
            }
            drop(clients);
            Process::of(server)
                .wait_until("the connections are closed", |server| server.descriptors() < 20);
        });
        let failed = if resets { count } else { 0 };
        let stdout = stdout.replace(',', "");
        assert!(stdout.contains(&format!(" {failed} connections failed")), "{stdout}");
    }
}

#[test]
fn connections_beyond_the_limit_of_descriptors() {
    let limit = normal_or_long(200, 5000);
    let script = format!("ulimit -n {limit}; exec \"$POLLSET\" serve --listen 127.0.0.1:0");
    let server = Server::start_in_shell(&script);
    let count = limit + normal_or_long(400, 3000);
    abuse_server(server, "connect beyond the limit", count, |server| {
        let process = Process::of(server);
        let mut clients = Client::connect_many(server, count);
        process.wait_until("the limit of descriptors is reached", |process| {
            process.descriptors() >= limit
        });
        let (start, cpu) = (Instant::now(), process.cpu_time());
        thread::sleep(2 * run_time());
        let (elapsed, cpu) = (start.elapsed(), process.cpu_time() - cpu);
        println!("{:<40} {cpu:?} of processor time in {elapsed:.1?}", "");
        assert!(cpu < elapsed / 2, "{cpu:?} of {elapsed:?}");

        for client in &mut clients {
            client.send(100);
        }
        while clients.len() > limit / 2 {
            clients.drain(..limit / 2).for_each(|mut client| client.receive_all());
        }
        clients.iter_mut().for_each(Client::receive_all);
    });
}

#[test]
fn full_server_seldom_wakes_and_stops_on_sigterm() {
    let start = Instant::now();
    let server =
        Server::start_in_shell("ulimit -n 50; exec \"$POLLSET\" serve --listen 127.0.0.1:0");
    let clients = Client::connect_many(&server, 100);
    Process::of(&server)
        .wait_until("the limit of descriptors is reached", |process| process.descriptors() >= 50);
    thread::sleep(Duration::from_millis(500));
    let (code, stdout, stderr) = server.stop(Signal::TERM);
    assert_eq!(code, Some(0), "{stderr}");
    let (_, engine) = stdout.split_once("engine").unwrap();
    let engine = engine.replace(',', "");
    let waits: usize = engine.split(' ').filter_map(|word| word.parse::<usize>().ok()).sum();
    // One wait for each client, then two for each pause in accepting, and those that time out.
    let max_waits = 2 * clients.len() + 30 * start.elapsed().as_secs_f64().ceil() as usize;
    assert!(waits < max_waits, "{stdout}");
}

#[test]
fn everything_at_once() {
    abuse("everything at once", normal_or_long(300, 3000), |server| {
        let count = normal_or_long(100, 1000);
        let mut stuck = Client::connect_many(server, count);
        send_until_stuck(&mut stuck);
        let end = Instant::now() + run_time();
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut number = 0;
                while Instant::now() < end {
                    let mut client = Client::connect(server, number);
                    client.send(CHUNK);
                    client.reset_on_close();
                    number += 1;
                }
            });
            scope.spawn(|| {
                let mut clients = Client::connect_many(server, count);
                let mut sizes = [1, 100, 10_000, CHUNK].into_iter().cycle();
                while Instant::now() < end {
                    for client in &mut clients {
                        client.send(sizes.next().unwrap());
                        client.receive(CHUNK);
                    }
                }
                clients.iter_mut().for_each(Client::receive_all);
            });
            scope.spawn(|| {
                while Instant::now() < end {
                    let mut clients = Client::connect_many(server, count);
                    clients.iter_mut().for_each(|client| _ = client.send(10));
                }
            });
        });
        stuck.iter_mut().for_each(Client::receive_all);
    });
}

#[test]
fn urgent_data_is_echoed_in_order() {
    let server = Server::start();
    let client = server.connect();
    assert_echoes(&client, b"hello");
    for urgent in [b"!", b"?"] {
        send(&client, b"before", SendFlags::empty()).unwrap();
        send(&client, urgent, SendFlags::OOB).unwrap();
        send(&client, b"after", SendFlags::empty()).unwrap();
        let mut echo = [0; 12];
        std::io::Read::read_exact(&mut &client, &mut echo).unwrap();
        assert_eq!(echo[6..7], urgent[..]);
        assert_eq!((&echo[..6], &echo[7..]), (&b"before"[..], &b"after"[..]));
    }
}

/// Only keepalive probes can detect a client that is gone without closing its connection.
#[test]
fn keepalive_timer_runs_for_a_silent_client() {
    let server = Server::start();
    let client = server.connect();
    assert_echoes(&client, b"hello");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !has_keepalive_within(&client, Duration::from_secs(60)) {
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_millis(10));
    }
}

/// Whether the server's socket for the client has a keepalive timer that expires within `limit`.
/// The kernel's proc_net_tcp.txt describes the format of `/proc/net/tcp`.
fn has_keepalive_within(client: &TcpStream, limit: Duration) -> bool {
    const KEEPALIVE: &str = "02";
    const TICKS_PER_SECOND: u64 = 100;
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
            && u64::from_str_radix(expires, 16).unwrap() <= limit.as_secs() * TICKS_PER_SECOND
    })
}
