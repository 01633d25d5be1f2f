//! An echo server on every core: each worker is a thread with its own listener, polling object and
//! clients. Workers share only the port (`SO_REUSEPORT`), and the kernel distributes new connections
//! among them.
//!
//! ```sh
//! cargo run --release -p pollset --example workers [ADDRESS [WORKERS]]
//! ```
//!
//! Press Enter to stop the server.

use std::error::Error;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread;

use rustix::net::{AddressFamily, SocketType, bind, listen, socket, sockopt};

#[path = "echo.rs"]
#[allow(dead_code)] // its main()
mod echo;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:0".into()).parse()?;
    let count = match arguments.next() {
        Some(count) => count.parse()?,
        None => thread::available_parallelism()?.get(),
    };
    let first = shared_listener(address)?;
    let address = first.local_addr()?;
    let mut listeners = vec![first];
    while listeners.len() < count {
        listeners.push(shared_listener(address)?);
    }
    println!("listening on {address}");

    thread::scope(|scope| {
        let serve = |listener| scope.spawn(move || echo::serve(&listener, &io::stdin()));
        let workers: Vec<_> = listeners.into_iter().map(serve).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("a worker panicked"))
    })?;
    Ok(())
}

/// A listener whose port other listeners can share, unlike that of `TcpListener::bind`.
fn shared_listener(address: SocketAddr) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket(family, SocketType::STREAM, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    bind(&socket, &address)?;
    listen(&socket, 1024)?;
    Ok(TcpListener::from(socket))
}
