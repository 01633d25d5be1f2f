"""Contestants measured in turn within one run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from report import Contestant
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

# In nanoseconds. The clock by which ours looks for closed descriptors ticks every 4 ms: rounds are
# longer, so that each has its part of that.
ROUND = 5_000_000
WARM_UP = 50_000_000  # until ours has chosen its engine

Call = Callable[[], object]


class Run:
    """How much is measured, and how far it has come."""

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
            auto_refresh=False,  # by a thread, which would take the interpreter lock meanwhile
        )

    def sizes(self, *sizes: int) -> list[int]:
        return [size for size in sizes if size <= 1000] if self.quick else list(sizes)

    def over(self, title: str, places: Iterable[int]) -> Iterator[int]:
        """Each of them, with a bar that turns() moves on."""
        places = list(places)
        task = self.progress.add_task(title, total=len(places))
        for done, place in enumerate(places):
            self.progress.update(task, completed=done, description=f"{title}: {place:,}")
            self.progress.refresh()
            yield place
        self.progress.update(task, completed=len(places), description=title)
        self.progress.refresh()

    def turns(
        self, contestants: Iterable[Contestant], rounds: int | None = None
    ) -> Iterator[Contestant]:
        """Whose turn it is, round by round; nobody is always the first."""
        order = list(contestants)
        rounds = rounds or self.rounds
        for _ in range(rounds):
            yield from order
            order.append(order.pop(0))
            if self.progress.task_ids:
                self.progress.advance(self.progress.task_ids[-1], 1 / rounds)
                self.progress.refresh()

    def in_turn(
        self, calls: Mapping[Contestant, Call], things: int = 1
    ) -> dict[Contestant, list[float]]:
        """Nanoseconds a call of each, in each round; or a thing, if a call does several."""
        repeated = {contestant: Repeated(call) for contestant, call in calls.items()}
        samples: dict[Contestant, list[float]] = {contestant: [] for contestant in calls}
        for contestant in self.turns(calls):
            samples[contestant].append(repeated[contestant].sample() / things)
        return samples


class Repeated:
    """A call that is repeated until a round is over, warmed up."""

    def __init__(self, call: Call) -> None:
        self.call = call
        spent, count = 0, 1
        while spent < WARM_UP:
            taken = timed(call, count)
            spent += taken
            if taken < ROUND:
                count *= 2
        # Only now: ours may have filled its epoll instance in the last of these.
        while (taken := timed(call, count)) < ROUND:
            count *= 2
        self.count = max(1, count * ROUND // taken)

    def sample(self) -> float:
        """Nanoseconds a call."""
        # Not timed: it gets the caches back from the others, and does what became due for ours
        # while they had their turn. What becomes due in this round is part of what it costs.
        timed(self.call, max(2, self.count // 4))
        return timed(self.call, self.count) / self.count


def timed(call: Call, count: int) -> int:
    """Of the processor: no call sleeps, and so other programs on the machine disturb it less."""
    repeated = (None,) * count
    start = time.thread_time_ns()
    for _ in repeated:
        call()
    return time.thread_time_ns() - start
