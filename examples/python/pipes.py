"""Runs commands at the same time, and prints each line of theirs as soon as it comes.

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

    begun = dict.fromkeys(running, b"")  # lines that are not complete yet
    worst = 0
    while running:
        for fd, _ in poller.poll():
            command, process = running[fd]
            data = os.read(fd, 65536)
            *lines, begun[fd] = (begun[fd] + data).split(b"\n")
            if not data and begun[fd]:
                lines.append(begun[fd])
            for line in lines:
                print(f"{command}: {line.decode(errors='replace')}", flush=True)
            if not data:
                poller.unregister(fd)  # before it is closed
                del running[fd]
                process.communicate()
                worst = max(worst, abs(process.returncode))
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
