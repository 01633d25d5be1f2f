"""Measures pollset and the standard library's ways to wait for descriptors. For Linux.

All subjects of a workload are measured in one run, round by round in turn, on the same descriptors.
Prints a table of medians for each workload, writes all samples as JSON, and draws charts of all
reports in the folder.
"""

from __future__ import annotations

import argparse
import inspect
import platform
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from datetime import date
from pathlib import Path

import loops
import pollset
from active_pipes import active_pipes
from changes import churn, modify, transient
from descriptors import raise_limit
from echo import echo
from measure import Run
from other_threads import other_threads
from ready import audit, none_ready, one_ready, share_ready
from registration import registration
from report import Chart, Machine, Report
from rich.console import Console
from tables import show

CHECKOUT = Path(__file__).resolve().parents[2]

WORKLOADS: dict[str, Callable[[Run], list[Chart]]] = {
    "one-ready": one_ready,
    "share-ready": share_ready,
    "none-ready": none_ready,
    "active-pipes": active_pipes,
    "churn": churn,
    "transient": transient,
    "modify": modify,
    "registration": registration,
    "audit": audit,
    "echo": echo,
    "other-threads": other_threads,
}


def description_of(workload: str) -> str:
    return " ".join((inspect.getdoc(WORKLOADS[workload]) or "").split())


def parse_arguments() -> argparse.Namespace:
    descriptions = (
        f"{name}:\n{textwrap.indent(textwrap.fill(description_of(name), 76), '  ')}"
        for name in WORKLOADS
    )
    parser = argparse.ArgumentParser(
        prog="python python/bench",
        description=__doc__,
        epilog="workloads:\n\n" + "\n\n".join(descriptions),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "workloads", nargs="*", metavar="WORKLOAD", help="workloads to measure (default: all)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="measure fewer rounds, and sizes up to 1,000"
    )
    parser.add_argument(
        "--into",
        type=Path,
        default=CHECKOUT / "target" / "benchmarks",
        metavar="FOLDER",
        help="folder for reports and charts (default: target/benchmarks of the checkout)",
    )
    arguments = parser.parse_args()
    for name in arguments.workloads:
        if name not in WORKLOADS:
            parser.error(f"there is no workload {name}; there are {', '.join(WORKLOADS)}")
    return arguments


def main() -> None:
    arguments = parse_arguments()
    raise_limit()
    # Tables in a file are not cut to the width of a terminal.
    width = None if sys.stdout.isatty() else 160
    console = Console(width=width, markup=False, emoji=False, highlight=False)
    for name in loops.missing():
        console.print(f"without {name}: it is not installed")
    interpreter = f"{platform.python_implementation()} {platform.python_version()}"
    for workload in arguments.workloads or WORKLOADS:
        run = Run(arguments.quick, Console(stderr=True))
        with run.progress:
            charts = WORKLOADS[workload](run)
        report = Report(
            workload=workload,
            description=description_of(workload),
            command=f"python python/bench {'--quick ' if arguments.quick else ''}{workload}",
            date=date.today().isoformat(),
            machine=Machine.this(),
            versions={
                "Python": interpreter,
                "pollset": pollset.__version__,
                **loops.versions(series.subject for chart in charts for series in chart.series),
            },
            charts=charts,
        )
        report.write(arguments.into)
        console.print(f"\n{workload}: {report.description}\n\n{report.environment()}\n")
        for chart in charts:
            show(console, chart)
    draw(arguments.into.resolve())


def draw(folder: Path) -> None:
    command = shlex.split("cargo run --release -q -p pollset-bench -- --draw --into")
    command.append(str(folder))
    problem = f"The samples are in {folder}. To draw them, run in {CHECKOUT}:"
    if shutil.which("cargo") is None:
        print(f"There is no cargo. {problem}", shlex.join(command), sep="\n")
    elif subprocess.run(command, cwd=CHECKOUT).returncode:
        sys.exit(f"{problem}\n{shlex.join(command)}")


if __name__ == "__main__":
    main()
