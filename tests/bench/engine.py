"""The engine on the published case, beside fhir.resources on the same Bundle; growth to 5,000 entries.

Ratios hold where a machine's speed drifts; a time alone does not.
"""

from __future__ import annotations

import gc
from dataclasses import replace

from fhir.resources.R4B.bundle import Bundle

from adapter.r4 import check
from mappings import Case, dump_case, encode, from_fhir, load_case, to_fhir
from tests.bench.table import Row, medians
from tests.goldens import case_bytes


def rows() -> list[Row]:
    """The figures."""
    return [*speed(), *growth()]


def speed() -> list[Row]:
    """Ratios to fhir.resources, which validates the same Bundle."""
    raw = case_bytes("published-case")
    case = load_case(raw)
    bundle = to_fhir(case)
    text = encode(bundle)
    found = medians({
        "fhir.resources": lambda: Bundle.model_validate_json(text),
        "load_case": lambda: load_case(raw),
        "to_fhir": lambda: to_fhir(case),
        "from_fhir": lambda: from_fhir(bundle),
        "onto": lambda: to_fhir(case, onto=bundle),
        "dump_case": lambda: dump_case(case),
        "R4 rules": lambda: check(bundle),
    })  # fmt: skip
    base = found.pop("fhir.resources")
    goals = {"load_case": 0.05, "to_fhir": 0.06, "from_fhir": 0.10, "R4 rules": 0.20}
    return [Row(f"{name} / fhir.resources validate", s / base, goals.get(name)) for name, s in found.items()]


def grown(size: int) -> Case:
    """The synthetic case with so many more measurements."""
    case = load_case(case_bytes("synthetic-course"))
    first = case.measurements[0]
    return replace(case, measurements=(*case.measurements, *(replace(first, key=f"more-{n}") for n in range(size))))


def growth() -> list[Row]:
    """The cost of an entry of a Bundle with 5,000 against one with 50."""
    cost: dict[int, dict[str, float]] = {}
    for size in (0, 5000):
        case = grown(size)
        bundle = to_fhir(case)
        gc.collect()
        found = medians({"to_fhir": lambda: to_fhir(case), "from_fhir": lambda: from_fhir(bundle)}, 3)  # noqa: B023
        cost[size] = {name: seconds / len(bundle["entry"]) for name, seconds in found.items()}
    return [Row(f"{name}: cost of an entry, 5,000 / 50", cost[5000][name] / cost[0][name], 2.0) for name in cost[0]]
