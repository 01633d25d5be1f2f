"""Rounds: the subjects of a benchmark take turns within one run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from report import Subject
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

# In nanoseconds. The coarse clock that paces pollset's audit ticks every 4 ms: a round is longer,
# so that each has its share of the audit.
ROUND = 5_000_000
WARM_UP = 200_000_000  # until pollset has settled on an engine

Call = Callable[[], object]


class Run:
    """Settings and progress of a run."""

    def __init__(self, quick: bool, console: Console) -> None:
        self.quick = quick
        self.console = console
        self.rounds = 5 if quick else 31
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
            auto_refresh=False,  # it needs a thread, which would contend for the interpreter lock
        )

    def sizes(self, *sizes: int) -> list[int]:
        """The sizes to measure. A quick run leaves out those above 1,000."""
        return [size for size in sizes if size <= 1000] if self.quick else list(sizes)

    def over(self, title: str, xs: Iterable[int]) -> Iterator[int]:
        """Yields each x, and shows a progress bar that turns() advances."""
        xs = list(xs)
        task = self.progress.add_task(title, total=len(xs))
        for done, x in enumerate(xs):
            self.progress.update(task, completed=done, description=f"{title}: {x:,}")
            self.progress.refresh()
            yield x
        self.progress.update(task, completed=len(xs), description=title)
        self.progress.refresh()

    def turns(self, subjects: Iterable[Subject], rounds: int | None = None) -> Iterator[Subject]:
        """Yields each subject once per round; each round starts with another one."""
        order = list(subjects)
        rounds = rounds or self.rounds
        for _ in range(rounds):
            yield from order
            order.append(order.pop(0))
            if self.progress.task_ids:
                self.progress.advance(self.progress.task_ids[-1], 1 / rounds)
                self.progress.refresh()

    def in_turn(
        self, calls: Mapping[Subject, Call], operations: int = 1
    ) -> dict[Subject, list[float]]:
        """Repeats the call of each subject in turn. A sample is the CPU time per operation, in
        nanoseconds; `operations` is their number in one call.
        """
        repeated = {subject: Repeated(call) for subject, call in calls.items()}
        samples: dict[Subject, list[float]] = {subject: [] for subject in calls}
        for subject in self.turns(calls):
            samples[subject].append(repeated[subject].sample() / operations)
        return samples


class Repeated:
    """A warmed-up call, with the number of repetitions that fill a round."""

    def __init__(self, call: Call) -> None:
        self.call = call
        spent, count = 0, 1
        while spent < WARM_UP:
            duration = cpu_time(call, count)
            spent += duration
            if duration < ROUND:
                count *= 2
        # Not derived from the loop above: pollset may have created its epoll instance in it.
        while (duration := cpu_time(call, count)) < ROUND:
            count *= 2
        self.count = max(1, count * ROUND // duration)

    def sample(self) -> float:
        """Nanoseconds per call."""
        # Not timed: it warms the caches up again, and makes the checks of pollset's audit that fell
        # due during the other subjects' turns. Those that fall due in this round are part of its
        # cost.
        cpu_time(self.call, max(2, self.count // 4))
        return cpu_time(self.call, self.count) / self.count


def cpu_time(call: Call, count: int) -> int:
    """Nanoseconds of user and system time of this thread. Other processes disturb it less than the
    elapsed time, which it equals on an idle machine, as no call sleeps.
    """
    repeated = (None,) * count
    start = time.thread_time_ns()
    for _ in repeated:
        call()
    return time.thread_time_ns() - start
