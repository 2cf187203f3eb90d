"""The lens on documents of others: every file of the corpus that is read, and every small document of these tests.

GetPut is proven where each is read. Here one field of the case is changed, any that can be, and written onto the
document: it is read back as the changed case, the foreign leaves stay, and nothing else changes.
"""

from __future__ import annotations

import random
from collections import Counter
from functools import cache
from typing import Any

import pytest

from mappings import MappingError, Report, decode, from_fhir, to_fhir
from mappings.entries import entries_of
from mappings.generated import is_generated
from mappings.wire import as_plain
from tests.corpus import NAMES, each, path
from tests.foreign import Facts, facts, received
from tests.sent import PATIENT, amount, bundle, condition, course, finding, infusion, ref, weight
from tests.strategies import edited, same
from tests.test_corpus import REFUSED
from tests.test_foreign_negation import CASES, NO, YES
from tests.test_other_clothes import SIX
from tests.test_shapes import SHAPES

Json = Any
SEEDS = 6
NOTE = [{"text": "seen", "time": "2024-01-01"}]
ODD: Json = {"extension": [{"url": "http://foreign.example/x", "valueString": "y"}], "id": "e1"}
#: Documents that hold more of a case than the corpus does, with foreign content beside every fact.
RICH = {
    "weight": bundle(PATIENT, weight(note=NOTE, valueQuantity=amount(60, "kg") | ODD, method={"text": "scale"} | ODD)),
    "finding": bundle(PATIENT, finding(valueCodeableConcept=YES, bodySite={"text": "arm"} | ODD, note=NOTE),
                      finding("g", valueCodeableConcept=NO)),
    "sign": bundle(PATIENT, condition(note=NOTE, onsetDateTime="2023", bodySite=[{"text": "arm"} | ODD])),
    "course": bundle(PATIENT, course(note=NOTE, effectivePeriod={"start": "2024"} | ODD, dosage=[
        {"sequence": 1, "text": "monthly", "doseAndRate": [{"doseQuantity": amount(2, "g/kg") | ODD}]} | ODD],
        derivedFrom=[ref("MedicationAdministration/a"), {"display": "the chart"}]),
        infusion(dosage={"dose": amount(2, "g/kg"), "text": "2 g/kg"} | ODD, performer=[{"actor": {"display": "X"}}])),
    "infusions": bundle(PATIENT, *(infusion(f"a{n}", day, note=NOTE) for n, day in enumerate(SIX[:4]))),
}  # fmt: skip
DOCUMENTS: dict[str, Any] = {
    **{f"shape: {shape.name}": shape.document for shape in SHAPES},
    **{f"case: {row.name}": bundle(PATIENT, row.sent) for row in CASES},
    **{f"rich: {name}": document for name, document in RICH.items()},
}


def edit(document: Any, seed: int) -> tuple[Json, Json, Json, Json, Report] | None:
    """(document, what is written onto it, the case as it was and is, as Bundles, the report) of one edit.

    None where the document has no room for what the edit adds, and says so.
    """
    was, _ = from_fhir(document)
    now, pointer = edited(random.Random(seed).randrange, was)
    report = Report("case-to-fhir")
    try:
        out = received(to_fhir(now, onto=document, report=report))
    except MappingError as error:
        refused = [issue.code for issue in error.issues]
    else:
        refused = []
    if refused:
        assert refused == ["bad-option"]
        return None
    if pointer == "/recorded":  # a fact about the case document, for which only our own Provenance has a place
        assert [issue.code for issue in report.issues] == ["no-place"]
        now = was
    assert same(from_fhir(out)[0], now)
    return as_plain(document), out, received(to_fhir(was)), received(to_fhir(now)), report


def all_facts(document: Json) -> Facts:
    """The leaves of all resources but for narratives, how references are spelled, and what we generate."""
    found: Facts = Counter()
    for node in entries_of(document).nodes:
        if not is_generated(node.resource):
            found += facts({name: value for name, value in node.resource.items() if name != "contained"})
    return Counter({leaf: number for leaf, number in found.items() if not leaf[0].endswith("/reference")})


def assert_lens(document: Any, seed: int) -> None:
    """What goes and comes are the leaves in which the two cases differ; foreign leaves go only where the report says.

    An item that is known by the code that was changed gets our profile; what the document only implied, or keeps in
    another type of resource, is written in its own way: there only foreign leaves are counted.
    """
    done = edit(document, seed)
    if done is None:
        return
    plain, out, was, now, report = done
    gone, new = all_facts(plain) - all_facts(out), all_facts(out) - all_facts(plain)
    own_gone, own_new = all_facts(was) - all_facts(now), all_facts(now) - all_facts(was)
    told = sum(issue.leaves for issue in report.issues if issue.code == "rest-dropped")
    again = sum(node.twin is not None for node in entries_of(plain).nodes) + alternate(plain)
    assert (gone - own_gone).total() <= told + again * own_gone.total()
    if len(entries_of(out).nodes) == len(entries_of(plain).nodes) and not alternate(plain):
        extra = Counter({leaf: n for leaf, n in (new - own_new).items() if "/meta/profile/" not in leaf[0]})
        assert extra.total() <= again * own_new.total()
    if plain["resourceType"] in ("Bundle", "Parameters"):
        frames = [{name: value for name, value in one.items() if name not in FRAME} for one in (plain, out)]
        assert frames[0] == frames[1]


FRAME = ("entry", "parameter", "signature")  # a signature goes when anything changed


def alternate(document: Json) -> bool:
    """Whether the document keeps findings as Conditions."""
    return any(node.type == "Condition" for node in entries_of(document).nodes)


@each([name for name in NAMES if name not in REFUSED])
def test_edit_of_a_file(name: str) -> None:
    """Any field of the case that a file of the corpus gives, changed and written onto the file."""
    document = decode(path(name).read_bytes())
    for seed in range(SEEDS):
        assert_lens(document, seed)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_edit_of_a_small_document(name: str) -> None:
    """The same on documents of every shape, with every denial, and with foreign content beside the facts."""
    for seed in range(SEEDS):
        assert_lens(DOCUMENTS[name], seed)


@cache
def tried() -> Counter[str]:
    """How many of the edits were written, and how many had no room."""
    found: Counter[str] = Counter()
    for document in DOCUMENTS.values():
        for seed in range(SEEDS):
            found["written" if edit(document, seed) else "no room"] += 1
    return found


def test_edits_are_written() -> None:
    """Most of these edits find their place; a law that refuses its cases proves nothing."""
    assert tried()["written"] > 4 * tried()["no room"]
