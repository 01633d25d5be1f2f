"""Runs commands concurrently, and prints each line of their output as soon as it arrives.

python pipes.py COMMAND...

For instance: python pipes.py 'ping localhost' 'vmstat 1'
"""

from __future__ import annotations

import os
import subprocess
import sys

import pollset as select


def main(commands: list[str]) -> int:
    poller = select.poll()
    running: dict[int, tuple[str, subprocess.Popen[bytes]]] = {}
    for command in commands:
        process = subprocess.Popen(command, shell=True, stdout=subprocess.PIPE)
        assert process.stdout is not None
        poller.register(process.stdout, select.POLLIN)
        running[process.stdout.fileno()] = (command, process)

    partial = dict.fromkeys(running, b"")  # incomplete last lines
    status = 0
    while running:
        for fd, _ in poller.poll():
            command, process = running[fd]
            data = os.read(fd, 65536)
            *lines, partial[fd] = (partial[fd] + data).split(b"\n")
            if not data and partial[fd]:
                lines.append(partial[fd])
            for line in lines:
                print(f"{command}: {line.decode(errors='replace')}", flush=True)
            if not data:
                poller.unregister(fd)  # before closing it
                del running[fd]
                process.communicate()
                status = max(status, abs(process.returncode))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
