//! The TLS server of the guide.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use pollset::{PollFd, PollFlags, Waker};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};

#[path = "../examples/tls.rs"]
#[allow(dead_code)] // its main()
mod tls;

/// Longer than a TLS record, which has at most 16 KiB.
const LONG: usize = 100_000;

/// Runs the server, and `test` with its address and its certificate.
fn with_server(test: impl FnOnce(SocketAddr, CertificateDer<'static>)) {
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let private = PrivateKeyDer::Pkcs8(key.signing_key.serialize_der().into());
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], private)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let stop = Arc::new(Waker::new().unwrap());
    let server = thread::spawn({
        let stop = Arc::clone(&stop);
        move || tls::serve(&listener, &Arc::new(config), &*stop)
    });
    test(address, key.cert.der().clone());
    stop.wake().unwrap();
    server.join().unwrap().unwrap();
}

fn connect(
    address: SocketAddr,
    certificate: CertificateDer<'static>,
) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream)
}

fn message(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index / 7) as u8).collect()
}

fn assert_echoes(client: &mut (impl Read + Write), message: &[u8]) {
    client.write_all(message).unwrap();
    let mut reply = vec![0; message.len()];
    client.read_exact(&mut reply).unwrap();
    assert!(reply == message);
}

#[test]
fn echoes_messages_shorter_and_longer_than_a_record() {
    with_server(|address, certificate| {
        let mut client = connect(address, certificate);
        for length in [5, 4096, 4097, 16 * 1024, LONG, 1] {
            assert_echoes(&mut client, &message(length));
        }
    });
}

#[test]
fn serves_clients_side_by_side() {
    with_server(|address, certificate| {
        let mut clients: Vec<_> = (0..10).map(|_| connect(address, certificate.clone())).collect();
        for _ in 0..3 {
            for client in &mut clients {
                assert_echoes(client, &message(LONG));
            }
            clients.remove(0);
        }
    });
}

#[test]
fn sends_what_a_client_reads_late() {
    with_server(|address, certificate| {
        let StreamOwned { mut conn, mut sock, .. } = connect(address, certificate);
        while conn.is_handshaking() {
            conn.complete_io(&mut sock).unwrap();
        }
        sock.set_nonblocking(true).unwrap();
        // More than the buffers of both sockets hold, and nothing is read before they are full.
        let mut sent = 0;
        while ready(&sock, PollFlags::OUT, Duration::from_millis(300)) {
            sent += conn.writer().write(&[b'x'; LONG]).unwrap();
            while conn.wants_write() && conn.write_tls(&mut sock).is_ok() {}
        }
        let mut received = 0;
        while received < sent {
            let waits_for = if conn.wants_write() { PollFlags::OUT } else { PollFlags::empty() };
            assert!(ready(&sock, PollFlags::IN | waits_for, Duration::from_secs(20)));
            while conn.wants_write() && conn.write_tls(&mut sock).is_ok() {}
            if let Ok(count) = conn.read_tls(&mut sock) {
                assert_ne!(count, 0, "the server has closed the connection");
                received += conn.process_new_packets().unwrap().plaintext_bytes_to_read();
            }
            while conn.reader().read(&mut [0; 4096]).is_ok_and(|count| count > 0) {}
        }
        assert_eq!(received, sent);
    });
}

fn ready(stream: &TcpStream, events: PollFlags, timeout: Duration) -> bool {
    pollset::poll(&mut [PollFd::new(stream, events)], timeout).unwrap() > 0
}

#[test]
fn ends_connections_and_serves_on() {
    with_server(|address, certificate| {
        let mut closing = connect(address, certificate.clone());
        assert_echoes(&mut closing, b"hello");
        closing.conn.send_close_notify();
        closing.flush().unwrap();
        assert_eq!(closing.read(&mut [0]).unwrap(), 0);

        let mut vanishing = connect(address, certificate.clone());
        assert_echoes(&mut vanishing, b"hello");
        vanishing.sock.shutdown(Shutdown::Write).unwrap();
        let error = vanishing.read(&mut [0]).unwrap_err(); // without a notice, too
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);

        let mut not_tls = TcpStream::connect(address).unwrap();
        not_tls.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        not_tls.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut alert = Vec::new();
        let _ = not_tls.read_to_end(&mut alert); // the socket may be reset
        assert_eq!(alert.first(), Some(&21));

        assert_echoes(&mut connect(address, certificate), &message(LONG));
    });
}

#[test]
fn the_guide_shows_the_code_of_the_server() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let server = fs::read_to_string(folder.join("examples/tls.rs")).unwrap();
    let guide = fs::read_to_string(folder.join("../../docs/guide.md")).unwrap();
    let (_, shown) = guide.split_once("\nstruct Client {\n").unwrap();
    let (shown, _) = shown.split_once("```").unwrap();
    assert!(server.contains(shown));
}
