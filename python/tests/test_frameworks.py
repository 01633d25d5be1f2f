"""Frameworks from PyPI: under load, and their own tests. Slow, so only with POLLSET_LONG."""

import asyncio
import http.client
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pollset
import pytest
from support import open_descriptors

pytestmark = [
    pytest.mark.skipif("POLLSET_LONG" not in os.environ, reason="POLLSET_LONG is not set"),
    pytest.mark.filterwarnings("default"),  # warnings of the frameworks are no errors
]


def run(main):
    before = open_descriptors()
    with closing(pollset.new_event_loop()) as loop:
        loop.run_until_complete(main)
    assert open_descriptors() == before


def test_aiohttp():
    """A server, and a client with hundreds of connections to it, in one loop."""
    import aiohttp
    from aiohttp import web

    async def handle(request):
        body = await request.read()
        await asyncio.sleep(0.001)
        return web.Response(body=body[::-1])

    async def main():
        app = web.Application()
        app.router.add_post("/", handle)
        server = web.AppRunner(app)
        await server.setup()
        await web.TCPSite(server, "127.0.0.1", 0).start()
        [(host, port)] = server.addresses

        async def request(session, number):
            body = b"%d " % number * (number % 5000)
            async with session.post(f"http://{host}:{port}/", data=body) as response:
                assert await response.read() == body[::-1]

        connector = aiohttp.TCPConnector(limit=300)
        async with aiohttp.ClientSession(connector=connector) as session:
            await asyncio.gather(*(request(session, number) for number in range(3000)))
        await server.cleanup()

    run(main())


def test_uvicorn_and_starlette():
    """Clients in threads, each with one connection."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse, StreamingResponse
    from starlette.routing import Route

    async def whole(request):
        return PlainTextResponse(request.path_params["word"])

    async def in_pieces(request):
        async def pieces():
            for _ in range(100):
                yield request.path_params["word"]
                await asyncio.sleep(0)

        return StreamingResponse(pieces())

    app = Starlette(routes=[Route("/whole/{word}", whole), Route("/pieces/{word}", in_pieces)])

    def use(port):
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
            connection.connect()
            sock = connection.sock
            for number in range(50):
                for path, times in [("whole", 1), ("pieces", 100)]:
                    connection.request("GET", f"/{path}/{number}")
                    assert connection.getresponse().read() == b"%d" % number * times
                    assert connection.sock is sock

    async def main():
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
        serving = asyncio.ensure_future(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(50) as threads:
            await asyncio.gather(*(loop.run_in_executor(threads, use, port) for _ in range(50)))
        server.should_exit = True
        await serving

    run(main())


def test_twisted_uses_pollset():
    code = """
import pollset
pollset.install()
from twisted.internet import pollreactor
pollreactor.install()
from twisted.internet import reactor
print(type(reactor._poller).__module__)
"""
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "pollset\n"


def test_tests_of_twisted(tmp_path):
    """Twisted's tests of reactors. Tests that fail must also fail without pollset."""
    output = trial(tmp_path, "-m", "pollset")
    ran = re.search(r"^Ran (\d+) tests", output, re.M)
    assert int(ran[1]) > 1000
    assert "_PollReactorTests" in output
    failed = failures(output)
    assert not failed or failed <= failures(trial(tmp_path)), output


def trial(directory, *options):
    command = [sys.executable, *options, "-m", "twisted.trial", "--reactor=poll"]
    done = subprocess.run(
        [*command, "twisted.internet.test"],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=500,
    )
    return done.stdout


def failures(output):
    """The names of the failed tests, from the tracebacks at the end of the output."""
    _, *problems = re.split(r"^={20,}$", output, flags=re.M)
    is_failure = re.compile(r"\s*\[(FAIL|ERROR)\]")
    return {
        name
        for problem in problems
        if is_failure.match(problem)
        for name in re.findall(r"^twisted\.\S+$", problem, re.M)
    }
