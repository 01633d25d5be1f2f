//! A service that is connected to: its addresses, which are all tried side by side.

use std::io;
use std::time::{Duration, Instant};

use pollset::PollFlags;
use socket2::{SockAddr, Socket};

use super::attempts::Attempts;
use super::connect;
use super::files::{Files, Role};
use super::names::Lookup;
use super::target::hang_up_events;
use crate::output;

/// A service that accepts, and is waited for to be gone, is connected to again after this time.
const RECHECK_INTERVAL: Duration = Duration::from_secs(1);

pub struct Service {
    /// The index of the target.
    index: usize,
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
    InProgress { socket: Socket, begun: Instant },
    Kept { socket: Socket, recheck_at: Instant },
}

impl Service {
    /// A service of the host that [`set_lookup`](Self::set_lookup) gives the addresses of.
    pub fn of_host(index: usize, is_awaited_gone: bool) -> Self {
        Self { index, is_awaited_gone, lookup: None, addresses: Vec::new() }
    }

    pub fn with_address(index: usize, is_awaited_gone: bool, address: SockAddr) -> Self {
        let addresses = vec![Address::new(address)];
        Self { index, is_awaited_gone, lookup: Some(Ok(())), addresses }
    }

    /// Takes the addresses of the host. If the lookup has failed, the last ones stay.
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
        let found = found.iter().map(|&(mut address)| {
            address.set_port(port);
            SockAddr::from(address)
        });
        let mut new: Vec<_> = found.collect();
        for known in &mut self.addresses {
            let listed = new.iter().position(|address| *address == known.address);
            known.is_current = listed.map(|at| new.remove(at)).is_some();
        }
        for address in new {
            match self.addresses.iter_mut().find(|known| known.is_unused()) {
                Some(unused) => *unused = Address::new(address),
                None => self.addresses.push(Address::new(address)),
            }
        }
    }

    /// Requests the attempts that are due, or that of each address if `all_are_due`. The next ones
    /// are due after `interval`.
    pub fn request_attempts(
        &mut self,
        files: &mut Files,
        attempts: &mut Attempts,
        now: Instant,
        interval: Duration,
        all_are_due: bool,
    ) {
        for number in 0..self.addresses.len() {
            if let State::Kept { recheck_at, .. } = self.addresses[number].state
                && (recheck_at <= now || all_are_due)
            {
                self.close_kept(number, files, attempts);
            }
            let address = &mut self.addresses[number];
            let is_due = all_are_due || address.next_attempt.is_none_or(|at| at <= now);
            if matches!(address.state, State::Idle) && address.is_current && is_due {
                address.state = State::Queued;
                address.next_attempt = Some(now + interval);
                attempts.request((self.index, number));
            }
        }
    }

    /// Begins the attempt that was requested for an address. Returns false if no descriptor is left;
    /// then the attempt has to begin later.
    pub fn begin_attempt(
        &mut self,
        number: usize,
        files: &mut Files,
        attempts: &mut Attempts,
    ) -> bool {
        let id = (self.index, number);
        let address = &mut self.addresses[number];
        if !matches!(address.state, State::Queued) {
            return true;
        }
        let started = connect::start(&address.address).and_then(|socket| {
            files.register(&socket, PollFlags::OUT, Role::Attempt(id))?;
            Ok(socket)
        });
        match started {
            Ok(socket) => {
                let begun = Instant::now();
                attempts.begin(id, begun);
                address.state = State::InProgress { socket, begun };
                true
            }
            Err(error) => {
                let has_begun = !connect::is_lack_of_descriptors(&error);
                if has_begun {
                    address.state = State::Idle;
                }
                address.last_result = Some(Err(error));
                has_begun
            }
        }
    }

    /// Takes the result of an attempt that has ended. Returns the connection, unless the service is
    /// waited for to be gone.
    pub fn end_attempt(
        &mut self,
        number: usize,
        files: &mut Files,
        attempts: &mut Attempts,
    ) -> Option<Socket> {
        let socket = self.take_attempt(number, files, attempts)?;
        let address = &mut self.addresses[number];
        let result = connect::finish(&socket, &address.address);
        let is_accepted = result.is_ok();
        address.last_result = Some(result);
        if !is_accepted {
            return None;
        }
        if !self.is_awaited_gone {
            return Some(socket);
        }
        // A hang-up is a reason to connect again.
        let recheck_at = Instant::now() + RECHECK_INTERVAL;
        let id = (self.index, number);
        if attempts.may_keep() && files.register(&socket, hang_up_events(), Role::Kept(id)).is_ok()
        {
            attempts.keep();
            address.state = State::Kept { socket, recheck_at };
        } else {
            address.next_attempt = Some(recheck_at);
        }
        None
    }

    /// Ends an attempt that was not answered.
    pub fn time_out_attempt(
        &mut self,
        number: usize,
        after: Duration,
        files: &mut Files,
        attempts: &mut Attempts,
    ) {
        self.take_attempt(number, files, attempts);
        let seconds = after.as_secs();
        let plural = if seconds == 1 { "" } else { "s" };
        let message = format!("no answer in {seconds} second{plural}");
        let error = io::Error::new(io::ErrorKind::TimedOut, message);
        self.addresses[number].last_result = Some(Err(error));
    }

    /// Ends an attempt in progress, and returns its socket.
    pub fn take_attempt(
        &mut self,
        number: usize,
        files: &mut Files,
        attempts: &mut Attempts,
    ) -> Option<Socket> {
        let state = &mut self.addresses[number].state;
        if !matches!(state, State::InProgress { .. }) {
            return None;
        }
        let State::InProgress { socket, begun } = std::mem::replace(state, State::Idle) else {
            return None;
        };
        files.unregister(&socket);
        attempts.end((self.index, number), begun);
        Some(socket)
    }

    /// Closes the connection to a service that is waited for to be gone. The next attempt tells
    /// whether it still accepts.
    pub fn close_kept(&mut self, number: usize, files: &mut Files, attempts: &mut Attempts) {
        let address = &mut self.addresses[number];
        if let State::Kept { socket, .. } = &address.state {
            files.unregister(socket);
            attempts.end_keeping();
            address.state = State::Idle;
        }
    }

    /// Ends all attempts.
    pub fn close(&mut self, files: &mut Files, attempts: &mut Attempts) {
        for number in 0..self.addresses.len() {
            self.close_kept(number, files, attempts);
            self.take_attempt(number, files, attempts);
            self.addresses[number].state = State::Idle;
        }
    }

    pub fn is_awaited_gone(&self) -> bool {
        self.is_awaited_gone
    }

    /// Whether the host has no address, or none of its addresses accepts a connection. Addresses that
    /// this system can't use don't count, if there are others.
    pub fn is_gone(&self) -> bool {
        match &self.lookup {
            None => false,
            Some(Err(failure)) => failure.is_final,
            Some(Ok(())) => {
                let mut errors = self.current_addresses().map(Address::error);
                let is_gone = |error: Option<&io::Error>| error.is_some_and(connect::means_gone);
                errors.clone().any(is_gone)
                    && errors
                        .all(|error| is_gone(error) || error.is_some_and(connect::means_unusable))
            }
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
        if self.is_awaited_gone && self.current_addresses().any(Address::has_accepted) {
            return "still accepts connections".to_owned();
        }
        let mut failed = self.current_addresses().filter_map(|known| Some((known, known.error()?)));
        // If it is waited for to be gone, an error that means so is not the reason.
        let is_reason = |error: &io::Error| !(self.is_awaited_gone && connect::means_gone(error));
        let Some((known, error)) =
            failed.clone().find(|(_, error)| is_reason(error)).or_else(|| failed.next())
        else {
            return "no answer yet".to_owned();
        };
        let has_several = self.current_addresses().nth(1).is_some();
        match known.address.as_socket() {
            Some(address) if has_several => format!("{}: {}", address.ip(), output::text(error)),
            _ => output::text(error),
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

    fn has_accepted(&self) -> bool {
        matches!(self.last_result, Some(Ok(())))
    }

    fn error(&self) -> Option<&io::Error> {
        self.last_result.as_ref()?.as_ref().err()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    /// The addresses that are current, with whether an attempt was made.
    fn addresses(service: &Service) -> Vec<(String, bool)> {
        let current = service.current_addresses().map(|known| {
            let address: SocketAddr = known.address.as_socket().unwrap();
            (address.ip().to_string(), known.last_result.is_some())
        });
        current.collect()
    }

    #[test]
    fn address_that_a_lookup_returns_again_keeps_its_state() {
        let mut service = Service::of_host(0, false);
        let lookup = |ips: &[&str]| -> Lookup {
            Ok(ips.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect())
        };
        service.set_lookup(&lookup(&["127.0.0.1"]), 1);
        service.addresses[0].last_result = Some(Err(io::ErrorKind::ConnectionRefused.into()));
        service.set_lookup(&lookup(&["127.0.0.2", "127.0.0.1"]), 1);
        let known = |ip: &str, is_tried| (ip.to_owned(), is_tried);
        assert_eq!(addresses(&service), [known("127.0.0.1", true), known("127.0.0.2", false)]);
        service.set_lookup(&lookup(&["127.0.0.3"]), 1);
        assert_eq!(addresses(&service), [known("127.0.0.3", false)]);
    }
}
