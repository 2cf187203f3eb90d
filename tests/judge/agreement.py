"""Our R4 checker beside the judge: `make judge-report`.

Every resource of the examples (and of the official corpus, where it is there) as it is, and
single-fault mutants of them, made by operators from a fixed seed. Errors only: both know more
warnings than they share. Printed: found by both, by one, by none, false alarms, and what differs.
"""

from __future__ import annotations

import copy
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from adapter.r4 import check
from mappings import decode, encode
from tests.goldens import NAMES, golden
from tests.judge import Judge

ROOT = Path(__file__).parents[2]
CORPUS = Path(os.environ.get("FHIR_CORPUS", ROOT.parent / "shared" / "corpus" / "hl7-r4-examples"))
MUTANTS = 400
Json = Any


def resources() -> Iterator[tuple[str, dict[str, Json]]]:
    """The resources of the golden Bundles, without the profiles that they claim, and the corpus."""
    for name in NAMES:
        for entry in decode(golden(name).read_bytes())["entry"]:
            one = entry["resource"]
            one["meta"].pop("profile", None)
            if not any(marked in encode(one) for marked in (b"scleromyx.invalid", b"urn:uuid")):
                yield f"{name}/{one['resourceType']}", one
    for path in sorted(CORPUS.glob("*.json")):
        one = decode(path.read_bytes())
        if one["resourceType"] != "Bundle":
            yield path.stem, one


def places(json: Json) -> Iterator[tuple[dict[str, Json], str]]:
    """Every member of every object."""
    if isinstance(json, dict):
        for name, value in json.items():
            yield json, name
            yield from places(value)
    elif isinstance(json, list):
        for value in json:
            yield from places(value)


#: One fault each, for a member of an object.
OPERATORS: dict[str, Callable[[dict[str, Json], str], Any]] = {
    "drop": lambda owner, name: owner.pop(name),
    "unknown": lambda owner, name: owner.update(notAnElement="x"),
    "to number": lambda owner, name: owner.update({name: 7}),
    "to text": lambda owner, name: owner.update({name: "x y"}),
    "to list": lambda owner, name: owner.update({name: [owner[name]]}),
    "empty": lambda owner, name: owner.update({name: {}}),
    "empty text": lambda owner, name: owner.update({name: ""}),
    "bad date": lambda owner, name: owner.update({name: "2024-13-40"}),
    "true": lambda owner, name: owner.update({name: True}),
}


def mutants(sound: list[tuple[str, dict[str, Json]]], seed: int = 1) -> Iterator[tuple[str, dict[str, Json]]]:
    """Resources with one fault each."""
    rng = random.Random(seed)
    for _ in range(MUTANTS):
        name, one = rng.choice(sound)
        made = copy.deepcopy(one)
        owner, member = rng.choice([p for p in places(made) if p[1] not in ("resourceType", "div")])
        fault = rng.choice(sorted(OPERATORS))
        OPERATORS[fault](owner, member)
        yield f"{name}: {fault} {member}", made


def report() -> None:
    """Run both and print the table."""
    sound = list(resources())
    counts: Counter[str] = Counter()
    with Judge() as judge:
        for kind, cases in (("as they are", sound), ("mutants", list(mutants(sound)))):
            for name, one in cases:
                ours = [i.rule for i in check(one) if i.level == "error"]
                theirs = [m.message for m in judge.check(encode(one)) if m.severity == "error"]
                verdict = ("both" if theirs else "ours only") if ours else ("judge only" if theirs else "neither")
                counts[f"{kind}: {verdict}"] += 1
                if verdict.endswith("only"):
                    print(f"{verdict:>10}  {name}: {(ours or theirs)[0][:110]}")
    for name, count in sorted(counts.items()):
        print(f"{name:<28}{count:>5}")
    found = counts["mutants: both"] + counts["mutants: judge only"]
    print(f"of what the judge finds in mutants we find {counts['mutants: both'] / found:.1%}")


if __name__ == "__main__":
    report()
