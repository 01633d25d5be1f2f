"""The benchmarks run, and write the reports that crates/bench draws."""

import io
import json
import platform
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from rich.console import Console

BENCH = Path(__file__).resolve().parents[1] / "bench"


@pytest.fixture
def bench(monkeypatch):
    """Makes its modules importable. Each test imports what it needs."""
    monkeypatch.syspath_prepend(BENCH)


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
            ours = next(each for each in chart["series"] if each["subject"] == "pollset")
            for series in chart["series"]:
                places = [point["x"] for point in series["points"]]
                assert places == [point["x"] for point in ours["points"]]
                assert all(point["samples"] for point in series["points"])


def test_an_unknown_workload_is_an_error():
    done = subprocess.run([sys.executable, BENCH, "nonsense"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "there is no workload nonsense" in done.stderr


def quick_run():
    from measure import Run

    return Run(quick=True, console=Console(file=io.StringIO(), force_terminal=True))


def test_a_workload_is_measured_with_one_thread_and_beside_an_idle_one(bench):
    from idle_thread import also_beside_idle_thread
    from report import Chart

    threads = []

    @also_beside_idle_thread
    def workload(run):
        """It counts threads."""
        threads.append(threading.active_count())
        for _ in run.over("of", [1]):
            pass
        return [Chart(name, f"Title of {name}", "x", "y") for name in ("one", "two")]

    run = quick_run()
    with run.progress:
        charts = workload(run)
    assert threads == [1, 2]
    assert threading.active_count() == 1
    assert [(chart.name, chart.title) for chart in charts] == [
        ("one", "Title of one"),
        ("one-beside-thread", "Title of one, beside an idle thread"),
        ("two", "Title of two"),
        ("two-beside-thread", "Title of two, beside an idle thread"),
    ]
    assert "It counts threads.\n" in workload.__doc__
    assert "beside an idle thread" in workload.__doc__


def test_an_unexpected_thread_is_an_error(bench):
    from idle_thread import also_beside_idle_thread, idle_thread

    workload = also_beside_idle_thread(lambda run: [])
    with idle_thread(), pytest.raises(AssertionError, match="one thread"):
        workload(quick_run())


def test_other_threads_are_compared_with_those_beside_the_replaced_object(bench, monkeypatch):
    import other_threads

    def in_turn(run, players):
        return {who: [play(0.01)] for who, play in players.items()}

    monkeypatch.setattr(other_threads, "in_turn", in_turn)
    charts = other_threads.other_threads(quick_run())
    assert threading.active_count() == 1
    for chart in charts:
        points = [point for each in chart.series for point in each.points]
        assert {len(point.samples) for point in points} == {1}
        assert max(sample for point in points for sample in point.samples) > 0
    for others, asking in zip(charts[::2], charts[1::2]):
        kinds = {each.subject: each.kind for each in others.series}
        judges = [who for who, kind in kinds.items() if kind in ("bare", "peer")]
        ours = [who for who, kind in kinds.items() if kind == "ours"]
        assert (judges, ours) in [
            (["select.poll"], ["pollset"]),
            (["selectors.PollSelector"], ["pollset.PollSelector"]),
            (["asyncio on poll"], ["asyncio on pollset"]),
        ]
        kinds.pop("time.sleep", None)
        assert asking.name == f"{others.name}-asking"
        assert {each.subject: each.kind for each in asking.series} == {
            **kinds,
            judges[0]: "reference",
        }


def test_a_table_without_competitors_has_no_ratios(bench):
    from report import Chart, Subject
    from tables import show

    def table(kind):
        chart = Chart("name", "Title", "x", "calls", "per-second")
        chart.add(1, {Subject("select.poll", kind): [2.0], Subject("pollset", "ours"): [1.0]})
        output = io.StringIO()
        show(Console(file=output, width=160), chart)
        return output.getvalue()

    assert "pollset / best other" in table("bare")
    assert "best other" not in table("reference")
