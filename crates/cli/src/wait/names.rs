//! Looks up the addresses of hosts. getaddrinfo(3) blocks, so a few threads call it.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use pollset::Waker;
use rustix::io::fcntl_dupfd_cloexec;

use super::lookup::{self, LookupError};

/// The pause between two lookups of a name.
const LOOKUP_INTERVAL: Duration = Duration::from_millis(500);
/// Lookups that are not answered take many seconds each. Others have to find a free thread.
const MAX_THREADS: usize = 64;
/// How many descriptors getaddrinfo(3) needs.
const NEEDED_DESCRIPTORS: usize = 3;

/// The result of the last lookup of a host. The addresses have port 0.
pub type Lookup = Result<Vec<SocketAddr>, LookupError>;

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

enum Host {
    /// It needs no lookup.
    Fixed(Lookup),
    LookingUp {
        last: Option<Lookup>,
    },
    LookedUp {
        last: Lookup,
        next_lookup: Instant,
    },
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

    /// The last lookup of a host, `None` if there was none yet. Requests another if that is due. An
    /// error means that no thread can be started.
    pub fn lookup(&mut self, host: &str, now: Instant) -> io::Result<Option<&Lookup>> {
        let is_due = match self.hosts.get(host) {
            None => true,
            Some(Host::LookedUp { next_lookup, .. }) => *next_lookup <= now,
            Some(Host::Fixed(_) | Host::LookingUp { .. }) => false,
        };
        if is_due {
            let new = match (self.hosts.remove(host), without_lookup(host)) {
                (None, Some(addresses)) => Host::Fixed(Ok(addresses)),
                (known, _) => {
                    self.request(host)?;
                    let last = match known {
                        Some(Host::LookedUp { last, .. }) => Some(last),
                        _ => None,
                    };
                    Host::LookingUp { last }
                }
            };
            self.hosts.insert(host.to_owned(), new);
        }
        Ok(match &self.hosts[host] {
            Host::Fixed(last) | Host::LookedUp { last, .. } => Some(last),
            Host::LookingUp { last } => last.as_ref(),
        })
    }

    fn request(&mut self, host: &str) -> io::Result<()> {
        if self.in_progress == self.threads && self.threads < MAX_THREADS {
            match self.start_thread() {
                Ok(()) => self.threads += 1,
                Err(error) if self.threads == 0 => return Err(error),
                Err(_) => {} // the others do it later
            }
        }
        self.in_progress += 1;
        self.requests.send(host.to_owned()).expect("`queue` is the receiver");
        Ok(())
    }

    fn start_thread(&self) -> io::Result<()> {
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
        thread::Builder::new().spawn(work).map(drop)
    }

    /// Readable when a lookup has ended, until [`take_results`](Self::take_results).
    pub fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Takes the lookups that have ended. Returns their hosts.
    pub fn take_results(&mut self) -> io::Result<Vec<String>> {
        self.waker.clear()?;
        let mut hosts = Vec::new();
        for (host, last) in self.results.try_iter() {
            self.in_progress -= 1;
            let next_lookup = Instant::now() + LOOKUP_INTERVAL;
            self.hosts.insert(host.clone(), Host::LookedUp { last, next_lookup });
            hosts.push(host);
        }
        Ok(hosts)
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

fn look_up(host: &str) -> Lookup {
    lookup::addresses(host).map_err(|error| match lack_of_descriptors() {
        // The C library couldn't read /etc/hosts, say. To some it is as if there were no such name.
        Some(lack) => LookupError { message: lack.to_string(), is_final: false },
        None => error,
    })
}

fn lack_of_descriptors() -> Option<io::Error> {
    let duplicate = |_| fcntl_dupfd_cloexec(io::stderr(), 0);
    let spare: Result<Vec<_>, _> = (0..NEEDED_DESCRIPTORS).map(duplicate).collect();
    spare.err().map(io::Error::from)
}
