"""Medians of interleaved rounds on the published case, beside fhir.resources on the same Bundle; growth to 5,000.

Ratios hold where a machine's speed drifts; a time alone does not. Nothing is asserted.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any

from fhir.resources.R4B.bundle import Bundle

from adapter.r4 import check
from mappings import Case, decode, dump_case, encode, from_fhir, load_case, to_fhir
from tests.goldens import case_bytes

ROUNDS = 15


def medians(tasks: dict[str, Callable[[], Any]], rounds: int = ROUNDS) -> dict[str, float]:
    """Seconds of each task: one warm-up, then the tasks in turn, round by round."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for turn in range(rounds + 1):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            if turn:
                times[name].append(time.perf_counter() - start)
    return {name: median(found) for name, found in times.items()}


def speed() -> None:
    """The table of ratios."""
    raw = case_bytes("published-case")
    case = load_case(raw)
    bundle = to_fhir(case)
    text = encode(bundle)
    found = medians({
        "fhir.resources validate": lambda: Bundle.model_validate_json(text),
        "load_case": lambda: load_case(raw),
        "to_fhir": lambda: to_fhir(case),
        "from_fhir, with the account": lambda: from_fhir(bundle),
        "onto": lambda: to_fhir(case, onto=bundle),
        "dump_case": lambda: dump_case(case),
        "R4 rules": lambda: check(bundle),
        "decode": lambda: decode(text),
        "encode": lambda: encode(bundle),
    })  # fmt: skip
    base = found["fhir.resources validate"]
    print(f"published case, {len(bundle['entry'])} entries, medians of {ROUNDS} rounds")
    for name, seconds in found.items():
        print(f"  {name:<30}{seconds * 1000:9.2f} ms   {seconds / base:6.3f} of fhir.resources")


def grown(size: int) -> Case:
    """The synthetic case with so many measurements."""
    case = load_case(case_bytes("synthetic-course"))
    first = case.measurements[0]
    return replace(case, measurements=(*case.measurements, *(replace(first, key=f"more-{n}") for n in range(size))))


def growth() -> None:
    """The cost of an entry as a Bundle grows."""
    print("cost of an entry as a Bundle grows (microseconds)")
    for size in (50, 500, 5000):
        case = grown(size)
        bundle = to_fhir(case)
        entries = len(bundle["entry"])
        gc.collect()
        found = medians({
            "to_fhir": lambda: to_fhir(case),  # noqa: B023
            "from_fhir": lambda: from_fhir(bundle),  # noqa: B023
            "onto": lambda: to_fhir(case, onto=bundle),  # noqa: B023
            "R4 rules": lambda: check(bundle),  # noqa: B023
        }, 3)  # fmt: skip
        print(f"  {entries:>5} entries  " + "  ".join(f"{n} {s / entries * 1e6:6.0f}" for n, s in found.items()))


if __name__ == "__main__":
    speed()
    growth()
