//! An echo server over TLS in one thread, with a new self-signed certificate.
//!
//! ```sh
//! cargo run --release -p pollset-guide --example tls [ADDRESS]
//! ```
//!
//! Connect with `openssl s_client`. Press Enter to stop the server.

use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

use pollset::{PollFlags, PollMap};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection};

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:0".into());
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let private = PrivateKeyDer::Pkcs8(key.signing_key.serialize_der().into());
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], private)?;
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    serve(&listener, &Arc::new(config), &io::stdin())?;
    Ok(())
}

enum Source {
    Stop,
    Listener,
    Client(Box<Client>),
}

/// Serves until `stop` is ready.
pub fn serve(
    listener: &TcpListener,
    config: &Arc<ServerConfig>,
    stop: &impl AsFd,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut map = PollMap::new();
    map.register(stop.as_fd(), PollFlags::IN, Source::Stop)?;
    map.register(listener, PollFlags::IN, Source::Listener)?;
    loop {
        map.poll(None)?;
        while let Some((event, source)) = map.next_event() {
            match source {
                Source::Stop => return Ok(()),
                Source::Listener => match accept(listener, config) {
                    Ok(client) => {
                        let fd = client.stream.as_raw_fd();
                        map.register(fd, client.interest(), Source::Client(Box::new(client)))?;
                    }
                    Err(error) if is_transient(&error) => {}
                    // No descriptor is left: the client waits in the backlog until another one
                    // leaves.
                    Err(_) if map.len() > 2 => map.modify(listener, PollFlags::empty())?,
                    Err(error) => return Err(error),
                },
                Source::Client(client) => {
                    if client.serve().unwrap_or_else(|error| is_transient(&error)) {
                        let interest = client.interest();
                        map.modify(event.fd, interest)?;
                    } else {
                        map.unregister(event.fd)?;
                        map.modify(listener, PollFlags::IN)?;
                    }
                }
            }
        }
    }
}

fn accept(listener: &TcpListener, config: &Arc<ServerConfig>) -> io::Result<Client> {
    let (stream, _) = listener.accept()?;
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    let tls = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
    Ok(Client { stream, tls })
}

/// Whether the operation can simply be retried after the next wait.
fn is_transient(error: &io::Error) -> bool {
    use ErrorKind::{ConnectionAborted, Interrupted, WouldBlock};
    matches!(error.kind(), ConnectionAborted | Interrupted | WouldBlock)
}

struct Client {
    stream: TcpStream,
    tls: ServerConnection,
}

impl Client {
    /// Handles an event of the socket. Returns false if the connection is over.
    fn serve(&mut self) -> io::Result<bool> {
        if !self.tls.wants_write() {
            self.tls.read_tls(&mut self.stream)?;
            if let Err(error) = self.tls.process_new_packets() {
                let _ = self.tls.write_tls(&mut self.stream); // tells the client why
                return Err(io::Error::other(error));
            }
        }
        // Until no plaintext is left: the next wait looks at the socket only.
        let mut buffer = [0; 4096];
        loop {
            while self.tls.wants_write() {
                self.tls.write_tls(&mut self.stream)?;
            }
            match self.tls.reader().read(&mut buffer)? {
                0 => {
                    self.tls.send_close_notify();
                    self.tls.write_tls(&mut self.stream)?;
                    return Ok(false);
                }
                count => self.tls.writer().write_all(&buffer[..count])?,
            }
        }
    }

    fn interest(&self) -> PollFlags {
        if self.tls.wants_write() { PollFlags::OUT } else { PollFlags::IN }
    }
}
