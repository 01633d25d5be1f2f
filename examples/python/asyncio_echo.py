"""An echo server with asyncio, on pollset's event loop.

python asyncio_echo.py [PORT]
"""

import asyncio
import sys
from contextlib import closing, suppress

import pollset


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass  # the client has disconnected
    finally:
        writer.close()


async def main(port: int) -> None:
    server = await asyncio.start_server(echo, "127.0.0.1", port)
    host, port = server.sockets[0].getsockname()
    print(f"listening on {host}:{port}", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 7007
    # From Python 3.12 on: asyncio.run(main(port), loop_factory=pollset.new_event_loop)
    with closing(pollset.new_event_loop()) as loop, suppress(KeyboardInterrupt):
        loop.run_until_complete(main(port))
