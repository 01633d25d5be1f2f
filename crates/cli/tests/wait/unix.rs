//! Services at Unix sockets.

use std::os::unix::net::{UnixDatagram, UnixStream};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::util::{assert_prints, assert_times_out, assert_usage_error};

/// Starts a server at a Unix socket, in the background, after a pause.
const SERVER: &str = "
    serve() { sleep 0.3; python3 -c '
import socket, sys, time
server = socket.socket(socket.AF_UNIX, getattr(socket, sys.argv[2]))
server.bind(sys.argv[1])
if sys.argv[2] != \"SOCK_DGRAM\": server.listen(1)
time.sleep(float(sys.argv[3]))' \"$@\"; }
";

#[test]
fn socket_can_appear_later() {
    for kind in ["SOCK_STREAM", "SOCK_SEQPACKET", "SOCK_DGRAM"] {
        let script = format!("{SERVER} serve a.sock {kind} 2 & wait --timeout 30s unix:a.sock");
        assert_prints(&script, "unix:a.sock out\n");
    }
}

#[test]
fn socket_without_a_server_is_refused_and_gone() {
    let script = format!("{SERVER} serve a.sock SOCK_STREAM 0");
    assert_times_out(
        &format!("{script}; wait --timeout 300ms unix:a.sock"),
        "pollset: unix:a.sock: Connection refused\n",
    );
    assert_prints(&format!("{script}; wait --timeout 0 unix:a.sock:gone"), "unix:a.sock gone\n");
    assert_prints("wait --timeout 0 unix:a.sock:gone", "unix:a.sock gone\n");
}

#[test]
fn server_that_stops_is_gone() {
    let script = format!(
        "{SERVER} serve a.sock SOCK_STREAM 1 & wait --timeout 30s unix:a.sock || exit
         wait --timeout 30s unix:a.sock:gone"
    );
    assert_prints(&script, "unix:a.sock out\nunix:a.sock gone\n");
}

#[test]
fn server_with_a_full_queue_is_neither_ready_nor_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sock");
    let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    let address = SockAddr::unix(&path).unwrap();
    listener.bind(&address).unwrap();
    listener.listen(0).unwrap();
    let _client = UnixStream::connect(&path).unwrap();
    for condition in ["", ":gone"] {
        let target = format!("unix:{}", path.display());
        assert_times_out(
            &format!("wait --timeout 300ms {target}{condition}"),
            &format!("pollset: {target}: Resource temporarily unavailable\n"),
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn abstract_name_is_written_with_an_at_sign() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener};

    let name = format!("pollset-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    assert_prints(&format!("wait --timeout 0 unix:@{name}"), &format!("unix:@{name} out\n"));
    let missing = format!("unix:@{name}-missing");
    assert_prints(&format!("wait --timeout 0 {missing}:gone"), &format!("{missing} gone\n"));
}

#[test]
fn datagram_socket_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sock");
    let _socket = UnixDatagram::bind(&path).unwrap();
    let target = format!("unix:{}", path.display());
    assert_prints(&format!("wait --timeout 0 {target}"), &format!("{target} out\n"));
}

#[test]
fn socket_given_as_a_path_is_a_usage_error() {
    let script = format!("{SERVER} serve a.sock SOCK_STREAM 0");
    assert_usage_error(&format!("{script}; wait a.sock"), "write unix:a.sock");
}
