"""The engine beside fhir.resources, msgspec and orjson on the same bytes, and its growth from 50 to 5,000 entries.

A ratio holds where a machine's speed drifts; a time alone does not. Times are of the processor, so that other
programs do not count. The garbage collector is on, set as the endpoint and bulk set it. Nothing is asserted.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from os import environ
from statistics import median
from typing import Any

import msgspec
import orjson
from fhir.resources.R4B.bundle import Bundle

from adapter.memory import settle
from adapter.verify import written
from mappings import Case, decode, dump_case, encode, from_fhir, load_case, to_fhir
from mappings.wire import leaves
from tests.bench.table import ROUNDS, Row, medians
from tests.foreign import Stranger
from tests.goldens import case_bytes

Tasks = dict[str, Callable[[], Any]]
VALIDATE = "fhir.resources validate"
OURS = ("load_case", "to_fhir", "from_fhir", "onto", "dump_case", "R4 rules", "bytes to bytes")
#: What a task of the published case may cost, as a part of what fhir.resources takes to validate its Bundle.
GOALS = {"load_case": 0.05, "to_fhir": 0.06, "from_fhir": 0.10, "R4 rules": 0.20, "bytes to bytes": 0.40}
SIZES = (50, 500, 5000)


def rows() -> list[Row]:
    """The figures, then the times behind them."""
    examples = {name: case_bytes(name) for name in ("published-case", "minimal", "synthetic-course")}
    documents = {name: ours(raw) | others(raw) for name, raw in examples.items()}
    foreign, rest = crowded(load_case(examples["published-case"]))
    crowd = f"a bundle with {rest:.0%} unmapped"
    settle()
    found = measured(documents | {crowd: foreign})
    sizes = measured({f"{size:,} entries": ours(grown(size)) for size in SIZES})
    large = measured({f"{SIZES[-1]:,} entries": ours(grown(SIZES[-1])) | others(grown(SIZES[-1]))})
    return [
        *ratios(found["published-case"], "", GOALS),
        *ratios(found[crowd], f", {rest:.0%} unmapped", dict.fromkeys(OURS, 0.20)),
        *growth(sizes),
        startup(),
        *details(found | large),
    ]


def ours(raw: bytes) -> Tasks:
    """What we do with one case and its Bundle."""
    case = load_case(raw)
    bundle = to_fhir(case)
    text = encode(bundle)
    return {
        "load_case": lambda: load_case(raw),
        "to_fhir": lambda: to_fhir(case),
        "from_fhir": lambda: from_fhir(bundle),
        "onto": lambda: to_fhir(case, onto=bundle),
        "dump_case": lambda: dump_case(case),
        "R4 rules": lambda: written(bundle, "all"),
        "bytes to bytes": lambda: encode(written(to_fhir(load_case(raw)), "all")),
        "decode": lambda: decode(text),
        "encode": lambda: encode(bundle),
        "entries": lambda: len(bundle["entry"]),
    }


def others(raw: bytes) -> Tasks:
    """What others do with the same Bundle, and what Python itself takes to walk through it, and to copy each value."""
    bundle = to_fhir(load_case(raw))
    text = encode(bundle)
    plain, model = orjson.loads(text), Bundle.model_validate_json(text)
    return {
        VALIDATE: lambda: Bundle.model_validate_json(text),
        "fhir.resources dump": lambda: model.model_dump_json(),
        "msgspec decode": lambda: msgspec.json.decode(text),
        "msgspec encode": lambda: msgspec.json.encode(plain),
        "orjson loads": lambda: orjson.loads(text),
        "orjson dumps": lambda: orjson.dumps(plain),
        "a walk in Python": lambda: leaves(bundle),
        "a copy in Python": lambda: copied(bundle),
    }


def copied(json: Any) -> Any:
    """A copy of plain JSON, value by value."""
    kind = type(json)
    if kind is dict:
        return {name: one if type(one) is str else copied(one) for name, one in json.items()}
    return [copied(one) for one in json] if kind is list else json


class Guest(Stranger):
    """A stranger who adds only what FHIR and fhir.resources allow, so that both take the Bundle."""

    def element(self, parent: Any, name: str, json: Any) -> None:
        """fhir.resources does not know ``_value`` in an extension."""
        if isinstance(json, dict | list) or not name.startswith("value"):
            super().element(parent, name, json)

    def object(self, json: Any) -> None:
        """An extension."""
        if self.here():
            self.insert(json.setdefault("extension", []), self.extension())


def crowded(case: Case) -> tuple[Tasks, float]:
    """The case's Bundle after others have worked on it until a quarter of its leaves is not mapped; what part it is."""
    for percent in range(5, 100):
        bundle = Guest(random.Random(percent).randrange, percent, calm=True).bundle(to_fhir(case))
        report = from_fhir(bundle)[1]
        if report.rest >= report.total / 4:
            break
    text, read = encode(bundle), from_fhir(bundle)[0]
    return {
        VALIDATE: lambda: Bundle.model_validate_json(text),
        "from_fhir": lambda: from_fhir(bundle),
        "onto": lambda: to_fhir(read, onto=bundle),
        "entries": lambda: len(bundle["entry"]),
    }, report.rest / report.total


def grown(size: int) -> bytes:
    """The minimal case with measurements of the synthetic one, until its Bundle has so many entries."""
    case = load_case(case_bytes("minimal"))
    first = next(m for m in load_case(case_bytes("synthetic-course")).measurements if m.kind == "skin-score")
    more = size - len(to_fhir(case)["entry"])
    one = replace(first, baseline=None, when=None, course=None, device=None, figures=())
    return encode(dump_case(replace(case, measurements=tuple(replace(one, key=f"more-{n}") for n in range(more)))))


Found = dict[str, dict[str, float]]


def measured(documents: dict[str, Tasks]) -> Found:
    """Seconds of each task of each document, all in the same rounds; ``entries`` is their number."""
    counts = {name: todo.pop("entries")() for name, todo in documents.items()}
    flat = {(name, task): do for name, todo in documents.items() for task, do in todo.items()}
    found: Found = {name: {"entries": count} for name, count in counts.items()}
    for (name, task), seconds in medians(flat, clock=time.process_time).items():
        found[name][task] = seconds
    return found


def ratios(found: dict[str, float], what: str, goals: dict[str, float]) -> list[Row]:
    """Our tasks as parts of what fhir.resources takes to validate the same Bundle."""
    base = found[VALIDATE]
    return [Row(f"{task}{what} / {VALIDATE}", found[task] / base, goals.get(task)) for task in OURS if task in found]


def growth(found: Found) -> list[Row]:
    """The cost of an entry in large Bundles against a small one."""
    small, *larger = found
    cost = {name: {task: times[task] / times["entries"] for task in OURS} for name, times in found.items()}
    return [
        Row(f"{task}: cost of an entry, {name} / {small}", cost[name][task] / cost[small][task], 2.0)
        for name in larger
        for task in OURS
    ]


def startup() -> Row:
    """Seconds of ``import mappings``, the interpreter's own start left out, bytecode cached."""
    text = "import time; start = time.process_time(); import mappings; print(time.process_time() - start)"
    env = {name: value for name, value in environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    told = [
        subprocess.run([sys.executable, "-c", text], capture_output=True, check=True, env=env) for _ in range(ROUNDS)
    ]
    return Row("import of mappings, seconds", median(float(one.stdout) for one in told), 0.25)


def details(found: Found) -> list[Row]:
    """Milliseconds of every task of every document; the note tells the cost of an entry, and of fhir.resources."""
    return [
        Row(
            f"{name}: {task}, ms",
            seconds * 1000,
            note=f"{seconds / times['entries'] * 1e6:8.1f} us an entry {seconds / times[VALIDATE]:8.4f} of validate",
        )
        for name, times in found.items()
        for task, seconds in times.items()
        if task != "entries"
    ]
