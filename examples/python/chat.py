"""A chat server: a loop around a polling object. It sends each client's data to all others.

python chat.py [PORT]

Connect several clients, for instance with: nc 127.0.0.1 7007
"""

from __future__ import annotations

import socket
import sys
from contextlib import suppress

import pollset as select

MAX_UNSENT = 1 << 20  # bytes; a client that lets more accumulate is disconnected


class Client:
    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.unsent = bytearray()

    def send(self) -> None:
        """Send as much as the socket accepts."""
        with suppress(BlockingIOError):
            del self.unsent[: self.sock.send(self.unsent)]


class Chat:
    def __init__(self, server: socket.socket) -> None:
        self.server = server
        self.clients: dict[int, Client] = {}
        self.poller = select.poll()
        self.poller.register(server, select.POLLIN)

    def run(self) -> None:
        while True:
            for fd, event in self.poller.poll():
                if fd == self.server.fileno():
                    self.accept()
                elif client := self.clients.get(fd):  # not dropped since poll() returned
                    self.handle(client, event)

    def accept(self) -> None:
        try:
            sock, _ = self.server.accept()
        except OSError:
            return  # the client has disconnected already
        sock.setblocking(False)
        self.clients[sock.fileno()] = Client(sock)
        self.poller.register(sock, select.POLLIN)

    def handle(self, client: Client, event: int) -> None:
        try:
            if event & select.POLLOUT:
                client.send()
                self.update_interest(client)
            if event & ~select.POLLOUT:  # data, the end of the stream or an error
                if data := client.sock.recv(65536):
                    self.broadcast(data, client)
                else:
                    self.drop(client)
        except BlockingIOError:
            pass
        except OSError:
            self.drop(client)

    def broadcast(self, data: bytes, sender: Client) -> None:
        for client in list(self.clients.values()):
            if client is not sender:
                client.unsent += data
                if len(client.unsent) > MAX_UNSENT:
                    self.drop(client)
                else:
                    self.update_interest(client)

    def update_interest(self, client: Client) -> None:
        """Watch for POLLOUT only while there is unsent data, or poll() would return at once."""
        events = select.POLLIN | select.POLLOUT if client.unsent else select.POLLIN
        self.poller.modify(client.sock, events)

    def drop(self, client: Client) -> None:
        self.poller.unregister(client.sock)  # before closing it
        del self.clients[client.sock.fileno()]
        client.sock.close()


def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 7007
    with socket.create_server(("127.0.0.1", port)) as server:
        server.setblocking(False)
        host, port = server.getsockname()
        print(f"listening on {host}:{port}", flush=True)
        Chat(server).run()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
