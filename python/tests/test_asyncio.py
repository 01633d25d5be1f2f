"""asyncio on pollset.new_event_loop()."""

import asyncio
import gc
import os
import signal
import sys
import threading
import time
import weakref
from contextlib import closing

import pollset
import pytest
from support import open_descriptors


def with_run_until_complete(main):
    with closing(pollset.new_event_loop()) as loop:
        return loop.run_until_complete(main)


def with_runner(main):
    with asyncio.Runner(loop_factory=pollset.new_event_loop) as runner:
        return runner.run(main)


def with_run(main):
    return asyncio.run(main, loop_factory=pollset.new_event_loop)


RUNNERS = [with_run_until_complete]
if sys.version_info >= (3, 11):
    RUNNERS.append(with_runner)
if sys.version_info >= (3, 12):
    RUNNERS.append(with_run)


@pytest.fixture(params=RUNNERS)
def run(request):
    """Each way to run a coroutine in a loop of pollset.new_event_loop()."""
    before = open_descriptors()
    yield request.param
    assert open_descriptors() == before


def test_new_event_loop_is_a_selector_event_loop(run):
    async def main():
        loop = asyncio.get_running_loop()
        assert isinstance(loop, asyncio.SelectorEventLoop)
        assert isinstance(loop._selector, pollset.PollSelector)
        return "done"

    assert run(main()) == "done"


def test_streams(run):
    async def echo(reader, writer):
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
        writer.close()

    async def exchange(port, number):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for message in range(10):
            line = b"%d-%d\n" % (number, message)
            writer.write(line)
            assert await reader.readline() == line
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()

    async def main():
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        await asyncio.gather(*(exchange(port, number) for number in range(100)))
        server.close()
        await server.wait_closed()

    run(main())


def test_more_data_than_the_buffers_hold(run):
    data = os.urandom(2**22)

    async def send(reader, writer):
        writer.write(data)
        await writer.drain()
        writer.close()

    async def main():
        server = await asyncio.start_server(send, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        await asyncio.sleep(0.05)
        assert await reader.read() == data
        writer.close()
        server.close()

    run(main())


def test_subprocess(run):
    async def main():
        if sys.version_info < (3, 12):
            asyncio.get_child_watcher().attach_loop(asyncio.get_running_loop())
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "print(input()[::-1]); exit(3)"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate(b"hello\n")
        assert output == b"olleh\n"
        assert process.returncode == 3

    run(main())


def test_a_signal_handler(run):
    async def main():
        loop = asyncio.get_running_loop()
        called = loop.create_future()
        loop.add_signal_handler(signal.SIGUSR1, called.set_result, "called")
        timer = threading.Timer(0.05, os.kill, [os.getpid(), signal.SIGUSR1])
        timer.start()
        assert await called == "called"
        timer.join()
        assert loop.remove_signal_handler(signal.SIGUSR1)

    run(main())


def test_call_soon_threadsafe(run):
    async def main():
        loop = asyncio.get_running_loop()
        called = loop.create_future()
        timer = threading.Timer(0.05, loop.call_soon_threadsafe, [called.set_result, "called"])
        timer.start()
        assert await called == "called"
        timer.join()

    run(main())


def test_run_in_executor(run):
    async def main():
        loop = asyncio.get_running_loop()
        numbers = [loop.run_in_executor(None, divmod, number, 3) for number in range(50)]
        assert await asyncio.gather(*numbers) == [divmod(number, 3) for number in range(50)]
        await loop.shutdown_default_executor()

    run(main())


def test_readers_and_writers_of_descriptors(run, descriptors):
    reader, writer = descriptors.pipe()

    async def main():
        loop = asyncio.get_running_loop()
        received = loop.create_future()
        loop.add_writer(writer, lambda: (os.write(writer, b"x"), loop.remove_writer(writer)))
        loop.add_reader(reader, lambda: received.set_result(os.read(reader, 1)))
        assert await received == b"x"
        assert loop.remove_reader(reader)
        assert not loop.remove_writer(writer)

    run(main())


def test_timers_are_not_early(run):
    async def main():
        for seconds in (0, 1e-6, 0.0003, 0.001, 0.0105):
            begin = time.monotonic()
            await asyncio.sleep(seconds)
            # The loop rounds to the resolution of the clock.
            resolution = time.get_clock_info("monotonic").resolution
            assert time.monotonic() - begin >= seconds - resolution

    run(main())


def test_a_loop_that_was_not_closed_is_collected(descriptors):
    class Protocol(asyncio.Protocol):
        pass

    protocol = Protocol()
    reference = weakref.ref(protocol)
    reader, writer = descriptors.pipe()

    def leave_open(protocol):
        loop = pollset.new_event_loop()

        async def main():
            loop.add_reader(reader, protocol.data_received, b"")
            os.write(writer, b"x")
            await asyncio.sleep(0.01)

        loop.run_until_complete(main())

    with pytest.warns(ResourceWarning, match="unclosed event loop"):
        leave_open(protocol)
        del protocol
        gc.collect()
    assert not reference()
