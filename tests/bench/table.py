"""One measured figure, how the table shows it, and the interleaved rounds that measure."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal, TypeVar

ROUNDS = 15
Name = TypeVar("Name")


@dataclass(frozen=True, slots=True)
class Row:
    """A figure: ``value`` beside its ``goal``; no goal: told only; no value: not measured, ``note`` says why."""

    name: str
    value: float | None
    goal: float | None = None
    better: Literal["lower", "higher"] = "lower"
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None where there is none, or no value."""
        if self.value is None or self.goal is None:
            return None
        return self.value <= self.goal if self.better == "lower" else self.value >= self.goal

    def line(self) -> str:
        """One line of the table."""
        value = "-" if self.value is None else f"{self.value:.4g}"
        goal = "" if self.goal is None else f"{'<=' if self.better == 'lower' else '>='} {self.goal:g}"
        verdict = {True: "yes", False: "no", None: ""}[self.reached]
        return f"  {self.name:<72}{value:>10}  {goal:<9}{verdict:<5}{self.note}".rstrip()


Clock = Callable[[], float]


def medians(
    tasks: dict[Name, Callable[[], Any]], rounds: int = ROUNDS, clock: Clock = time.perf_counter
) -> dict[Name, float]:
    """Seconds of each task: all tasks in each round, in an order of its own, each timed right after an untimed call.

    So its code and data are in the processor's caches, as they are where one document follows the other. In one
    order the collector's long runs would fall to the same task each time.
    What only computes is best timed by ``time.process_time``, which other programs of the machine do not touch.
    """
    times: dict[Name, list[float]] = {name: [] for name in tasks}
    for turn in range(rounds):
        for name in random.Random(turn).sample(list(tasks), len(tasks)):
            tasks[name]()
            start = clock()
            tasks[name]()
            times[name].append(clock() - start)
    return {name: median(found) for name, found in times.items()}
