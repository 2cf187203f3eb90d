"""The table of `make bench`: its verdicts, its rounds, and which modules have figures in it."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import Literal

import pytest

import tests.bench
from tests.bench.table import Row, medians


@pytest.mark.parametrize(
    ("value", "goal", "better", "reached"),
    [
        (0.04, 0.05, "lower", True),
        (0.05, 0.05, "lower", True),
        (0.06, 0.05, "lower", False),
        (0.4, 0.33, "higher", True),
        (0.3, 0.33, "higher", False),
        (0.3, None, "lower", None),
        (None, 0.02, "lower", None),
    ],
)
def test_a_row_tells_whether_its_goal_is_reached(
    value: float | None, goal: float | None, better: Literal["lower", "higher"], reached: bool | None
) -> None:
    """The goal itself is enough; without a goal or a value there is no verdict."""
    row = Row("name", value, goal, better, "a note")
    assert row.reached is reached
    words = row.line().split()
    assert [word for word in words if word in ("yes", "no")] == (
        [] if reached is None else ["yes" if reached else "no"]
    )
    assert words[-2:] == ["a", "note"]


def test_rounds_take_every_task_once_in_turn_after_a_warm_up() -> None:
    """Each round runs each task once, in changing order; the warm-up does not count."""
    ran: list[str] = []
    now = [0.0]

    def task(name: str, seconds: float) -> None:
        ran.append(name)
        now[0] += seconds if len(ran) > 2 else 100

    found = medians({"a": lambda: task("a", 1), "b": lambda: task("b", 3)}, 5, lambda: now[0])
    assert found == {"a": 1, "b": 3}
    rounds = [tuple(ran[i : i + 2]) for i in range(0, len(ran), 2)]
    assert len(rounds) == 6
    assert set(rounds) == {("a", "b"), ("b", "a")}


def test_every_module_of_the_folder_has_rows() -> None:
    """`make bench` asks each for its rows; helpers begin with an underscore."""
    names = {info.name for info in pkgutil.iter_modules(tests.bench.__path__)}
    modules = [import_module(f"tests.bench.{name}") for name in names if name != "table" and not name.startswith("_")]
    assert {"engine", "others"} <= names
    assert all(callable(module.rows) and module.__doc__ for module in modules)
