"""The results of a workload as JSON, in the schema of crates/bench/src/report.rs."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

Kind = Literal["bare", "peer", "ours", "ours-forced", "reference"]
Unit = Literal["nanoseconds", "bytes", "per-second"]


class Subject(NamedTuple):
    """A class, function or event loop under comparison."""

    name: str
    kind: Kind


@dataclass
class Point:
    x: float
    samples: list[float]


@dataclass
class Series:
    subject: str
    kind: Kind
    points: list[Point] = field(default_factory=list)


@dataclass
class Chart:
    name: str
    title: str
    x: str
    y: str
    unit: Unit = "nanoseconds"
    series: list[Series] = field(default_factory=list)

    def add(self, x: float, samples: Mapping[Subject, list[float]]) -> None:
        """Adds a point at x to the series of each subject. The first point creates the series."""
        for subject, subject_samples in samples.items():
            self._series_of(subject).points.append(Point(x, subject_samples))

    def _series_of(self, subject: Subject) -> Series:
        for series in self.series:
            if series.subject == subject.name:
                return series
        self.series.append(Series(*subject))
        return self.series[-1]


@dataclass
class Machine:
    processor: str
    cores: int
    memory_gib: int
    kernel: str

    @classmethod
    def this(cls) -> Machine:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return cls(
            processor=_processor(),
            cores=os.cpu_count() or 1,
            memory_gib=round(memory / 2**30),
            kernel=f"{platform.system()} {platform.release()}",
        )


@dataclass
class Report:
    workload: str
    description: str
    command: str
    date: str
    machine: Machine
    versions: dict[str, str]
    charts: list[Chart]
    language: str = "Python"

    def environment(self) -> str:
        """The date, the machine and the versions, in one line."""
        machine = self.machine
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return (
            f"{self.date}, on {machine.processor}, {machine.cores} cores, "
            f"{machine.memory_gib} GiB, {machine.kernel}. {versions}."
        )

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"python-{self.workload}.json"
        file.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        return file


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
