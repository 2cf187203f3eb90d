"""The table of `make bench`: its verdicts, its rounds, and which modules have figures in it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import pytest

import tests.bench.__main__ as bench
from tests.bench.table import Row, medians

ROW = Row("toy", 0.3, 0.33, "higher")


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


def test_rounds_time_every_task_in_turn_after_an_untimed_call() -> None:
    """Each round times each task once, in changing order; the call before it does not count."""
    ran: list[str] = []
    now = [0.0]

    def task(name: str, seconds: float) -> None:
        ran.append(name)
        now[0] += seconds if len(ran) % 2 == 0 else 100

    found = medians({"a": lambda: task("a", 1), "b": lambda: task("b", 3)}, 5, lambda: now[0])
    assert found == {"a": 1, "b": 3}
    rounds = ["".join(ran[i : i + 4]) for i in range(0, len(ran), 4)]
    assert len(rounds) == 5
    assert set(rounds) == {"aabb", "bbaa"}


def test_every_module_with_rows_is_in_the_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`make bench` asks each module of the folder, and writes what was measured beside its goal and its verdict."""
    found = bench.modules()
    assert {"engine", "others"} <= found.keys()
    assert "table" not in found
    monkeypatch.setattr(bench, "modules", lambda: {"toy": SimpleNamespace(__doc__="A toy.", rows=lambda: [ROW])})
    monkeypatch.setattr(bench, "OUT", tmp_path / "build" / "bench.json")
    bench.main()
    told = {"name": "toy", "value": 0.3, "goal": 0.33, "better": "higher", "note": "", "reached": False}
    assert json.loads((tmp_path / "build" / "bench.json").read_text(encoding="utf-8")) == {"toy": [told]}
