//! Names of hosts and services. The scripts write a hosts file of their own.

use dns_lookup::LookupError;

use crate::util::{assert_printed, assert_usage_error, sh, sh_in_namespaces, stderr};

/// Begins a script whose hosts file is ./hosts, with an interface, a server on 127.0.0.1:7007, and a
/// name server that knows no name: not every C library has /etc/nsswitch.conf.
const WITH_HOSTS: &str = "ip link set lo up
    echo 127.0.0.1 localhost >hosts; mount --bind hosts /etc/hosts
    echo hosts: files dns >nsswitch; mount --bind nsswitch /etc/nsswitch.conf
    printf 'nameserver 127.0.0.1\\noptions timeout:1 attempts:1\\n' >resolv
    mount --bind resolv /etc/resolv.conf
    python3 -c '
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((\"127.0.0.1\", 53))
open(\"bound\", \"w\")
while True:
    query, client = server.recvfrom(512)
    server.sendto(query[:2] + b\"\\x81\\x83\" + query[4:6] + bytes(6) + query[12:], client)
' >/dev/null 2>&1 & name_server=$!
    $pollset serve --listen 127.0.0.1:7007 >/dev/null 2>&1 & server=$!
    trap 'kill $server $name_server 2>/dev/null' EXIT
    wait --quiet --all tcp:127.0.0.1:7007 bound:exists
";

/// The C library's text for an error of getaddrinfo(3).
fn text_of(error: i32) -> String {
    let text = LookupError::new(error).to_string();
    text.rsplit(": ").next().unwrap().to_owned()
}

#[test]
fn name_can_appear_later() {
    let script = "wait --timeout 2s tcp:db:7007 2>&1
         (sleep 0.5; echo 127.0.0.1 db >>hosts) &
         wait --timeout 30s tcp:db:7007";
    let Some(output) = sh_in_namespaces(&format!("{WITH_HOSTS}{script}")) else { return };
    let unknown = text_of(libc::EAI_NONAME);
    assert_printed(&output, &format!("pollset: tcp:db:7007: {unknown}\ntcp:db:7007 out\n"));
}

#[test]
fn name_can_get_another_address() {
    let script = "echo 127.0.0.2 db >>hosts
         (sleep 0.5; echo 127.0.0.1 localhost db >hosts) &
         wait --timeout 30s tcp:db:7007";
    let Some(output) = sh_in_namespaces(&format!("{WITH_HOSTS}{script}")) else { return };
    assert_printed(&output, "tcp:db:7007 out\n");
}

#[test]
fn address_without_an_answer_does_not_delay_the_others() {
    // The queues of the first three addresses are full. One attempt takes seconds there.
    let script = "python3 -c '
import socket, time
sockets = []
for host in (\"127.0.0.2\", \"127.0.0.3\", \"127.0.0.4\"):
    listener = socket.create_server((host, 7007), backlog=0)
    sockets.append(listener)
    for _ in range(4):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex((host, 7007))
        sockets.append(client)
open(\"full\", \"w\")
time.sleep(60)' & full=$!
         wait -q full:exists
         $pollset serve --listen 127.0.0.9:7007 >/dev/null 2>&1 & last=$!
         wait -q tcp:127.0.0.9:7007
         printf '127.0.0.%s db\\n' 2 3 4 9 >>hosts
         wait --timeout 300ms tcp:127.0.0.4:7007 2>&1
         (sleep 1.5; touch late) & wait --timeout 30s tcp:db:7007 late:exists
         kill $full $last";
    let Some(output) = sh_in_namespaces(&format!("{WITH_HOSTS}{script}")) else { return };
    assert_printed(&output, "pollset: tcp:127.0.0.4:7007: no answer yet\ntcp:db:7007 out\n");
}

#[test]
fn name_is_gone_when_it_has_no_address_or_none_accepts() {
    let script = "echo 127.0.0.1 db >>hosts
         wait --timeout 1s tcp:db:7007:gone 2>&1
         (sleep 0.3; echo 127.0.0.1 localhost >hosts) &
         wait --timeout 30s tcp:db:7007:gone
         echo 127.0.0.1 db >>hosts; (sleep 0.3; kill $server) &
         wait --timeout 30s tcp:db:7007:gone";
    let Some(output) = sh_in_namespaces(&format!("{WITH_HOSTS}{script}")) else { return };
    let accepts = "pollset: tcp:db:7007: still accepts connections\n";
    assert_printed(&output, &format!("{accepts}tcp:db:7007 gone\ntcp:db:7007 gone\n"));
}

#[test]
fn failed_name_server_does_not_mean_that_a_host_is_gone() {
    let script = "kill $name_server; wait --timeout 3s tcp:db:7007:gone";
    let Some(output) = sh_in_namespaces(&format!("{WITH_HOSTS}{script}")) else { return };
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(stderr(&output), format!("pollset: tcp:db:7007: {}\n", text_of(libc::EAI_AGAIN)));
}

#[test]
fn lack_of_descriptors_does_not_mean_that_a_host_is_gone() {
    // All descriptors below the limit are in use, but for those that pollset opens before a lookup.
    let script = "echo 127.0.0.1 db >>hosts; mkfifo f; exec 3<>f 4<>f 5<>f 6<>f 7<>f 8<>f 9<>f
         (ulimit -n 13; wait --timeout 1s f f f tcp:db:7007:gone)";
    let Some(output) = sh_in_namespaces(&format!("{WITH_HOSTS}{script}")) else { return };
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn service_can_have_a_name() {
    let script = "echo echo-test 7007/tcp >services; mount --bind services /etc/services
         wait --timeout 30s tcp:localhost:echo-test";
    let Some(output) = sh_in_namespaces(&format!("{WITH_HOSTS}{script}")) else { return };
    assert_printed(&output, "tcp:localhost:echo-test out\n");
    assert_usage_error("wait tcp:localhost:no-such-service", "write the number of its port");
}

#[test]
fn name_other_than_localhost_needs_time() {
    let output = sh("wait --timeout 0 tcp:no-such-host.invalid:80");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let printed = stderr(&output);
    assert!(printed.contains("the name is not looked up yet\n"), "{output:?}");
    assert!(printed.ends_with("no time for an answer; try 1s\n"), "{output:?}");
}

#[test]
fn failure_to_start_a_thread_is_a_system_error() {
    // More than the address space has.
    let stack = usize::try_from(1_000_000_000_000_000_u64).unwrap_or(4_000_000_000);
    let wait = "$pollset wait --timeout 30s tcp:no-such-host.invalid:80";
    let output = sh(&format!("RUST_MIN_STACK={stack} {wait}"));
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(stderr(&output).contains("can't start a thread for tcp:"), "{output:?}");
}
