"""A chat server: a plain loop around a polling object. What a client sends, all others get.

python chat.py [PORT]

Try it with several of: nc 127.0.0.1 7007
"""

from __future__ import annotations

import socket
import sys
from contextlib import suppress

import pollset as select

MOST_WAITING = 1 << 20  # bytes that wait for a client, before it is taken for dead


class Client:
    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.waiting = bytearray()

    def send(self) -> None:
        """As much as there is room for."""
        with suppress(BlockingIOError):
            del self.waiting[: self.sock.send(self.waiting)]


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
                elif client := self.clients.get(fd):  # it may have been dropped in this round
                    self.attend(client, event)

    def accept(self) -> None:
        try:
            sock, _ = self.server.accept()
        except OSError:
            return  # the client has changed its mind
        sock.setblocking(False)
        self.clients[sock.fileno()] = Client(sock)
        self.poller.register(sock, select.POLLIN)

    def attend(self, client: Client, event: int) -> None:
        try:
            if event & select.POLLOUT:
                client.send()
                self.watch(client)
            if event & ~select.POLLOUT:  # something to read, the end or an error
                if data := client.sock.recv(65536):
                    self.spread(data, client)
                else:
                    self.drop(client)
        except BlockingIOError:
            pass
        except OSError:
            self.drop(client)

    def spread(self, data: bytes, sender: Client) -> None:
        for client in list(self.clients.values()):
            if client is not sender:
                client.waiting += data
                if len(client.waiting) > MOST_WAITING:
                    self.drop(client)
                else:
                    self.watch(client)

    def watch(self, client: Client) -> None:
        """For room to send only while there is something to send, or the loop would never rest."""
        wanted = select.POLLIN | select.POLLOUT if client.waiting else select.POLLIN
        self.poller.modify(client.sock, wanted)

    def drop(self, client: Client) -> None:
        self.poller.unregister(client.sock)  # before it is closed
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
