"""The benchmarks run, and write what crates/bench draws."""

import json
import platform
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parents[1] / "bench"


def test_a_quick_run(tmp_path):
    command = [sys.executable, BENCH, "--quick", "--into", tmp_path, "transient", "registration"]
    without_cargo = {"PATH": ""}
    done = subprocess.run(command, env=without_cargo, capture_output=True, text=True, check=True)
    assert "| pollset " in done.stdout
    assert " ±" in done.stdout
    assert f"Python {platform.python_version()}" in done.stdout
    assert "There is no cargo." in done.stdout
    for workload in ["transient", "registration"]:
        report = json.loads((tmp_path / f"python-{workload}.json").read_text())
        assert report["workload"] == workload
        for chart in report["charts"]:
            ours = next(each for each in chart["series"] if each["contestant"] == "pollset")
            for series in chart["series"]:
                places = [point["x"] for point in series["points"]]
                assert places == [point["x"] for point in ours["points"]]
                assert all(point["samples"] for point in series["points"])


def test_a_workload_that_there_is_not():
    done = subprocess.run([sys.executable, BENCH, "nonsense"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "there is no workload nonsense" in done.stderr
