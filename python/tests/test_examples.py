"""The examples, run as programs."""

import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "python"


@contextmanager
def server(name):
    """Runs a server. Yields a function that connects to it."""
    command = [sys.executable, EXAMPLES / name, "0"]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process,
        ExitStack() as clients,
    ):
        try:
            address = process.stdout.readline().removeprefix("listening on ").strip()
            host, port = address.split(":")

            def connect():
                client = socket.create_connection((host, int(port)), timeout=20)
                return clients.enter_context(client)

            yield connect
        finally:
            process.send_signal(signal.SIGINT)
    assert process.returncode == 0


def receive(client, count):
    received = b""
    while len(received) < count and (more := client.recv(count - len(received))):
        received += more
    return received


def test_asyncio_echo():
    with server("asyncio_echo.py") as connect:
        clients = [connect() for _ in range(50)]
        for number, client in enumerate(clients):
            client.sendall(b"%04d" % number)
        for number, client in enumerate(clients):
            assert receive(client, 4) == b"%04d" % number
        clients[0].shutdown(socket.SHUT_WR)
        assert clients[0].recv(1) == b""


def accepted(connect, count):
    """Clients that the chat server has accepted: it has sent data of each to the others."""
    clients = [connect()]
    while len(clients) < count:
        client = connect()
        client.sendall(b"?")
        for other in clients:
            assert receive(other, 1) == b"?"
        clients.append(client)
    return clients


def test_chat():
    with server("chat.py") as connect:
        one, two, three = accepted(connect, 3)
        one.sendall(b"hello\n")
        assert receive(two, 6) == receive(three, 6) == b"hello\n"
        two.close()
        three.sendall(b"bye\n")
        assert receive(one, 4) == b"bye\n"


def test_chat_disconnects_a_client_that_does_not_read():
    with server("chat.py") as connect:
        sender, reader, idle = accepted(connect, 3)
        line = bytes(2**16)
        for _ in range(400):
            sender.sendall(line)
            assert receive(reader, len(line)) == line
        received = 0
        while data := idle.recv(2**20):
            received += len(data)
        assert received < 400 * len(line)


def test_pipes():
    commands = ["printf 'one\\ntwo'", "sleep 0.2; echo late", "cat /dev/null; exit 3"]
    done = subprocess.run(
        [sys.executable, EXAMPLES / "pipes.py", *commands], capture_output=True, text=True
    )
    assert done.returncode == 3
    assert done.stdout.splitlines() == [
        f"{commands[0]}: one",
        f"{commands[0]}: two",
        f"{commands[1]}: late",
    ]
