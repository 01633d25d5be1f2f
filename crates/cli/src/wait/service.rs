//! A service that is connected to: its addresses, which are all tried side by side.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use socket2::{SockAddr, Socket};

use super::connect;
use super::files::{AddressId, Files};
use super::names::Lookup;
use crate::output;

/// The time limit for one attempt: a host may drop the packets without a reply.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// A service that accepts, and is waited for to be gone, is connected to again after this time.
const RECHECK_INTERVAL: Duration = Duration::from_secs(1);

pub struct Service {
    /// The number of the target.
    id: usize,
    is_awaited_gone: bool,
    /// `None` while the host was not looked up yet.
    lookup: Option<Result<(), LookupFailure>>,
    addresses: Vec<Address>,
}

struct LookupFailure {
    message: String,
    is_final: bool,
}

struct Address {
    address: SockAddr,
    /// Whether the last lookup has returned it.
    is_current: bool,
    state: State,
    /// `None` before the first attempt.
    next_attempt: Option<Instant>,
    /// The result of the last attempt that has ended.
    last_result: Option<io::Result<()>>,
}

enum State {
    Idle,
    Queued,
    InProgress { socket: Socket, deadline: Instant },
    Accepted { socket: Socket, recheck_at: Instant },
}

impl Service {
    /// A service of the host that [`set_lookup`](Self::set_lookup) gives the addresses of.
    pub fn of_host(id: usize, is_awaited_gone: bool) -> Self {
        Self { id, is_awaited_gone, lookup: None, addresses: Vec::new() }
    }

    pub fn with_address(id: usize, is_awaited_gone: bool, address: SockAddr) -> Self {
        let addresses = vec![Address::new(address)];
        Self { id, is_awaited_gone, lookup: Some(Ok(())), addresses }
    }

    /// Takes the addresses of the host. If they can't be looked up any more, the last ones stay.
    pub fn set_lookup(&mut self, lookup: &Lookup, port: u16) {
        let found = match lookup {
            Ok(found) => found,
            Err(error) => {
                let (message, is_final) = (error.message.clone(), error.is_final);
                self.lookup = Some(Err(LookupFailure { message, is_final }));
                return;
            }
        };
        self.lookup = Some(Ok(()));
        let found = found.iter().map(|address| {
            let mut address: SocketAddr = *address;
            address.set_port(port);
            SockAddr::from(address)
        });
        self.addresses.iter_mut().for_each(|known| known.is_current = false);
        for address in found {
            if let Some(known) = self.addresses.iter_mut().find(|known| known.address == address) {
                known.is_current = true;
            } else if let Some(unused) = self.addresses.iter_mut().find(|known| known.is_unused()) {
                *unused = Address::new(address);
            } else {
                self.addresses.push(Address::new(address));
            }
        }
    }

    /// Ends the attempts that have taken too long, and requests those that are due. The next ones
    /// are due after `interval`.
    pub fn update(&mut self, files: &mut Files, now: Instant, interval: Duration) {
        for index in 0..self.addresses.len() {
            match self.addresses[index].state {
                State::InProgress { deadline, .. } if deadline <= now => {
                    let message = format!("no answer in {} seconds", ATTEMPT_TIMEOUT.as_secs());
                    let error = io::Error::new(io::ErrorKind::TimedOut, message);
                    self.addresses[index].end_attempt(files, Err(error));
                }
                State::Accepted { recheck_at, .. } if recheck_at <= now => {
                    self.has_hung_up(index, files);
                }
                _ => {}
            }
            let address = &mut self.addresses[index];
            if matches!(address.state, State::Idle)
                && address.is_current
                && address.next_attempt.is_none_or(|at| at <= now)
            {
                address.state = State::Queued;
                address.next_attempt = Some(now + interval);
                files.enqueue_attempt((self.id, index));
            }
        }
    }

    /// Begins the attempt that was requested for an address. Returns false if no descriptor is left;
    /// then the attempt has to begin later.
    pub fn begin_attempt(&mut self, index: usize, files: &mut Files) -> bool {
        let address = &mut self.addresses[index];
        if !matches!(address.state, State::Queued) {
            return true;
        }
        let started = connect::start(&address.address).and_then(|socket| {
            files.begin_attempt(&socket, (self.id, index))?;
            Ok(socket)
        });
        match started {
            Ok(socket) => {
                let deadline = Instant::now() + ATTEMPT_TIMEOUT;
                address.state = State::InProgress { socket, deadline };
            }
            Err(error) => {
                let has_begun = !connect::is_lack_of_descriptors(&error);
                if has_begun {
                    address.state = State::Idle;
                }
                address.last_result = Some(Err(error));
                return has_begun;
            }
        }
        true
    }

    /// Takes the result of an attempt that has ended. Returns the connection, unless the service is
    /// waited for to be gone.
    pub fn end_attempt(&mut self, index: usize, files: &mut Files) -> Option<Socket> {
        let address = &mut self.addresses[index];
        let State::InProgress { socket, .. } = &address.state else { return None };
        let result = connect::finish(socket, &address.address);
        let is_accepted = result.is_ok();
        let socket = address.end_attempt(files, result)?;
        if !is_accepted {
            return None;
        }
        if !self.is_awaited_gone {
            return Some(socket);
        }
        address.keep_connection(socket, files, (self.id, index));
        None
    }

    /// Closes the connection to a service that is waited for to be gone: it has hung up, or was open
    /// for a while. The next attempt tells whether the service still accepts.
    pub fn has_hung_up(&mut self, index: usize, files: &mut Files) {
        let address = &mut self.addresses[index];
        if let State::Accepted { socket, .. } = &address.state {
            files.end_keeping(socket);
            address.state = State::Idle;
        }
    }

    /// Ends all attempts.
    pub fn close(&mut self, files: &mut Files) {
        for index in 0..self.addresses.len() {
            self.has_hung_up(index, files);
            let ended = io::ErrorKind::Interrupted.into();
            self.addresses[index].end_attempt(files, Err(ended));
        }
    }

    pub fn is_awaited_gone(&self) -> bool {
        self.is_awaited_gone
    }

    /// Whether the host has no address, or none of its addresses accepts a connection.
    pub fn is_gone(&self) -> bool {
        match &self.lookup {
            None => false,
            Some(Err(failure)) => failure.is_final,
            Some(Ok(())) => self.current_addresses().all(|address| {
                let error = address.last_result.as_ref().and_then(|result| result.as_ref().err());
                error.is_some_and(connect::means_gone)
            }),
        }
    }

    /// Whether the lookup, or an attempt, has not ended.
    pub fn needs_time(&self) -> bool {
        self.lookup.is_none() || self.current_addresses().any(|known| known.last_result.is_none())
    }

    /// Why the wait for this service has not ended.
    pub fn reason(&self) -> String {
        match &self.lookup {
            None => return "the name is not looked up yet".to_owned(),
            Some(Err(failure)) => return failure.message.clone(),
            Some(Ok(())) => {}
        }
        let has_several = self.current_addresses().nth(1).is_some();
        let mut results = self
            .current_addresses()
            .filter_map(|known| known.last_result.as_ref().map(|result| (&known.address, result)));
        if self.is_awaited_gone && results.clone().any(|(_, result)| result.is_ok()) {
            return "still accepts connections".to_owned();
        }
        match results.find_map(|(address, result)| Some((address, result.as_ref().err()?))) {
            Some((address, error)) => match address.as_socket() {
                Some(address) if has_several => {
                    format!("{}: {}", address.ip(), output::text(error))
                }
                _ => output::text(error),
            },
            None => "no answer yet".to_owned(),
        }
    }

    fn current_addresses(&self) -> impl Iterator<Item = &Address> + Clone {
        self.addresses.iter().filter(|address| address.is_current)
    }
}

impl Address {
    fn new(address: SockAddr) -> Self {
        Self {
            address,
            is_current: true,
            state: State::Idle,
            next_attempt: None,
            last_result: None,
        }
    }

    fn is_unused(&self) -> bool {
        !self.is_current && matches!(self.state, State::Idle)
    }

    /// Records the result of the attempt in progress, if there is one, and returns its socket.
    fn end_attempt(&mut self, files: &mut Files, result: io::Result<()>) -> Option<Socket> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::InProgress { socket, .. } => {
                files.end_attempt(&socket);
                self.last_result = Some(result);
                Some(socket)
            }
            other => {
                self.state = other;
                None
            }
        }
    }

    /// Keeps a connection open until its peer hangs up, or until it is time for another attempt.
    fn keep_connection(&mut self, socket: Socket, files: &mut Files, id: AddressId) {
        let recheck_at = Instant::now() + RECHECK_INTERVAL;
        if files.keep(&socket, id) {
            self.state = State::Accepted { socket, recheck_at };
        } else {
            self.next_attempt = Some(recheck_at);
        }
    }
}
