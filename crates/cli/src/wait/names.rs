//! Looks up the addresses of hosts. getaddrinfo(3) blocks, so a few threads call it.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use dns_lookup::{AddrInfoHints, LookupErrorKind, SockType, getaddrinfo};
use pollset::Waker;

/// The pause between two lookups of a name.
const LOOKUP_INTERVAL: Duration = Duration::from_millis(500);
const MAX_THREADS: usize = 16;

/// The last lookup of a host.
pub type Lookup = Result<Vec<SocketAddr>, LookupError>;

#[derive(Clone)]
pub struct LookupError {
    pub message: String,
    /// Whether the name server has answered that the host has no address.
    pub is_final: bool,
}

/// The hosts that are looked up, again and again.
pub struct Names {
    hosts: HashMap<String, Host>,
    requests: Sender<String>,
    /// The queue of the threads.
    queue: Arc<Mutex<Receiver<String>>>,
    result_sender: Sender<(String, Lookup)>,
    results: Receiver<(String, Lookup)>,
    waker: Arc<Waker>,
    threads: usize,
    in_progress: usize,
}

struct Host {
    lookup: Option<Lookup>,
    next_lookup: Instant,
    is_in_progress: bool,
}

impl Names {
    pub fn new() -> io::Result<Self> {
        let (requests, queue) = channel();
        let (result_sender, results) = channel();
        Ok(Self {
            hosts: HashMap::new(),
            requests,
            queue: Arc::new(Mutex::new(queue)),
            result_sender,
            results,
            waker: Arc::new(Waker::new()?),
            threads: 0,
            in_progress: 0,
        })
    }

    /// The last lookup of a host, `None` if there was none yet. The addresses have port 0.
    ///
    /// Requests another lookup if the last one is old. An error means that no thread can be started.
    pub fn lookup(&mut self, host: &str, now: Instant) -> io::Result<Option<&Lookup>> {
        if !self.hosts.contains_key(host) {
            let lookup = without_lookup(host).map(Ok);
            let new = Host { lookup, next_lookup: now, is_in_progress: false };
            self.hosts.insert(host.to_owned(), new);
        }
        let known = self.hosts.get_mut(host).expect("inserted above");
        let needs_lookup = without_lookup(host).is_none();
        if needs_lookup && !known.is_in_progress && known.next_lookup <= now {
            known.is_in_progress = true;
            self.in_progress += 1;
            self.start_thread()?;
            self.requests.send(host.to_owned()).expect("`queue` is the receiver");
        }
        Ok(self.hosts[host].lookup.as_ref())
    }

    /// Starts a thread if all are busy. More than [`MAX_THREADS`] lookups wait for each other.
    fn start_thread(&mut self) -> io::Result<()> {
        if self.in_progress <= self.threads || self.threads == MAX_THREADS {
            return Ok(());
        }
        let (queue, results, waker) =
            (self.queue.clone(), self.result_sender.clone(), self.waker.clone());
        let work = move || {
            loop {
                let request = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok(host) = request else { return };
                let lookup = look_up(&host);
                if results.send((host, lookup)).is_err() || waker.wake().is_err() {
                    return;
                }
            }
        };
        match thread::Builder::new().spawn(work) {
            Ok(_) => self.threads += 1,
            Err(error) if self.threads == 0 => return Err(error),
            Err(_) => {} // the others do it later
        }
        Ok(())
    }

    /// Readable when a lookup has ended, until [`take_results`](Self::take_results).
    pub fn waker(&self) -> &Waker {
        &self.waker
    }

    pub fn take_results(&mut self) -> io::Result<()> {
        self.waker.clear()?;
        for (host, lookup) in self.results.try_iter() {
            self.in_progress -= 1;
            let known = self.hosts.get_mut(&host).expect("is never removed");
            *known = Host {
                lookup: Some(lookup),
                next_lookup: Instant::now() + LOOKUP_INTERVAL,
                is_in_progress: false,
            };
        }
        Ok(())
    }
}

/// The addresses of a host that is written as an address, or as localhost (RFC 6761, 6.3).
fn without_lookup(host: &str) -> Option<Vec<SocketAddr>> {
    let addresses: Vec<IpAddr> = if host.eq_ignore_ascii_case("localhost") {
        vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
    } else {
        vec![host.parse().ok()?]
    };
    Some(addresses.into_iter().map(|address| (address, 0).into()).collect())
}

/// What the crate puts before the text of gai_strerror(3).
const PREFIX: &str = "failed to lookup address information: ";

fn look_up(host: &str) -> Lookup {
    let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    let addresses = getaddrinfo(Some(host), None, Some(hints)).map_err(|error| LookupError {
        is_final: matches!(error.kind(), LookupErrorKind::NoName | LookupErrorKind::NoData),
        message: io::Error::from(error).to_string().replace(PREFIX, ""),
    })?;
    Ok(addresses.flatten().map(|info| info.sockaddr).collect())
}
