"""Yes, no, unknown, not stated, not done, stopped, refuted, none: each written, read, and never another.

`SLOTS` is the table. A slot is one place of the case that can say such a thing; a row of it is a word and the
elements that tell it in FHIR. ``None`` is "not stated". A new concept joins by one more slot; a new word of the
model fails `test_every_word_has_its_row` until it has a row.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest

from mappings import MappingError, dump_case, from_fhir, load_case, to_fhir
from mappings.case import SECTIONS, Case
from mappings.shape import Shape, shapes

Json = dict[str, Any]
Tells = dict[str, Any]


@dataclass(frozen=True)
class Slot:
    """One place that can say yes, no or neither: ``field`` from the case down, and the resource that tells it."""

    name: str
    field: str
    resource: tuple[str, str]  # type, key
    case: Callable[[Any], Json]
    words: dict[Any, Tells]
    within: str = ""  # an element of the resource, as a path

    @property
    def elements(self) -> list[str]:
        """The elements that tell the words apart."""
        return list(dict.fromkeys(name for tells in self.words.values() for name in tells))


def concept(text: str) -> Json:
    return {"text": text}


def given(name: str, word: Any) -> Json:
    """The field with its word, or nothing."""
    return {} if word is None else {name: word}


CONDITION = {"key": "c", "role": "mucinosis", "code": concept("scleromyxedema"), "verification_status": "confirmed"}
COURSE = {"key": "t", "kind": "drug", "code": concept("IVIg"), "status": "active"}
TEXT = {"text": "as told"}
THICKNESS = {"key": "v", "kind": "skin-thickness", "value": TEXT}
PRESENT, ABSENT = "LA9633-4", "LA9634-2"
PRESENCE = {
    "present": {"valueCodeableConcept": PRESENT},
    "absent": {"valueCodeableConcept": ABSENT},
    "unknown": {"dataAbsentReason": "unknown"},
}
GIVEN = ("completed", "stopped", "not-done", "in-progress", "on-hold", "unknown")
CYCLE_WORDS = ("given", "partial", "not-given", "in-progress", "on-hold", "unknown")
COURSE_WORDS = ("planned", "active", "completed", "stopped", "on-hold", "not-given", "unknown")
PROCEDURE = ("preparation", "in-progress", "completed", "stopped", "on-hold", "not-done", "unknown")
REASONS = (
    "unknown", "asked-unknown", "temp-unknown", "not-asked", "asked-declined", "masked", "not-applicable",
    "unsupported", "as-text", "error", "not-a-number", "negative-infinity", "positive-infinity", "not-performed",
    "not-permitted",
)  # fmt: skip
RESPONSES = (
    "resolved", "improved", "temporary-improvement", "stable", "no-response", "worse", "treatment-refractory",
    "not-evaluable",
)  # fmt: skip


def same(element: str, words: tuple[str, ...]) -> dict[Any, Tells]:
    """Words that are their own codes."""
    return {word: {element: word} for word in words}


def statuses(words: tuple[str, ...], codes: tuple[str, ...]) -> dict[Any, Tells]:
    """Words and the codes of ``status``."""
    return {word: {"status": code} for word, code in zip(words, codes, strict=True)}


SLOTS = (
    Slot(
        "a finding is present, absent or unknown",
        "findings.presence",
        ("Observation", "f"),
        lambda word: {"findings": [{"key": "f", "code": concept("fever"), "presence": word}]},
        PRESENCE,
    ),
    Slot(
        "a criterion is met, not met or unknown",
        "criteria.items.presence",
        ("Observation", "k"),
        lambda word: {
            "conditions": [CONDITION | {"clinical_status": "active"}],
            "criteria": [
                {"key": "k", "name": concept("criteria"), "condition": "c"}
                | {"items": [{"code": concept("papules"), "presence": word}]}
            ],
        },
        PRESENCE,
        "component.0",
    ),
    Slot(
        "adverse effects are present, absent or unknown",
        "tolerance.adverse_effects",
        ("Observation", "x"),
        lambda word: {"therapies": [COURSE], "tolerance": [{"key": "x", "course": "t", "adverse_effects": word}]},
        PRESENCE,
    ),
    Slot(
        "an organ system is normal, abnormal or unknown",
        "system_reviews.result",
        ("Observation", "s"),
        lambda word: {"system_reviews": [{"key": "s", "system": concept("heart"), "result": word}]},
        {
            "normal": {"valueCodeableConcept": "17621005", "interpretation": "N"},
            "abnormal": {"valueCodeableConcept": "abnormal", "interpretation": "A"},
            "unknown": {"dataAbsentReason": "unknown"},
        },
    ),
    Slot(
        "a test is normal, abnormal, high, low, positive, negative, or nobody said",
        "reports.tests.interpretation",
        ("Observation", "q"),
        lambda word: {
            "reports": [
                {"key": "r", "kind": "laboratory", "code": concept("laboratory")}
                | {"tests": [{"key": "q", "code": concept("TSH"), "value": TEXT, **given("interpretation", word)}]}
            ]
        },
        {
            None: {},
            "normal": {"interpretation": "N"},
            "abnormal": {"interpretation": "A"},
            "high": {"interpretation": "H"},
            "low": {"interpretation": "L"},
            "positive": {"interpretation": "POS"},
            "negative": {"interpretation": "NEG"},
        },
    ),
    Slot(
        "a panel found one, two, many, none, or it is unknown",
        "monoclonal_protein.clonality",
        ("Observation", "m"),
        lambda word: {"monoclonal_protein": [{"key": "m", "clonality": word}]},
        same("valueCodeableConcept", ("monoclonal", "biclonal", "triclonal", "oligoclonal", "none-detected"))
        | {"unknown": {"dataAbsentReason": "unknown"}},
    ),
    Slot(
        "a clone has this heavy chain, none, or it is unknown",
        "monoclonal_protein.clones.heavy_chain.type",
        ("Observation", "n"),
        lambda word: clone(heavy_chain={"type": word}),
        same("valueCodeableConcept", ("igg", "iga", "igm", "igd", "ige"))
        | {"none": {"valueCodeableConcept": "heavy-chain-none"}, "unknown": {"dataAbsentReason": "unknown"}},
        "component.0",
    ),
    Slot(
        "a clone has this light chain, none, or it is unknown",
        "monoclonal_protein.clones.light_chain.type",
        ("Observation", "n"),
        lambda word: clone(light_chain={"type": word}),
        same("valueCodeableConcept", ("kappa", "lambda"))
        | {"none": {"valueCodeableConcept": "light-chain-none"}, "unknown": {"dataAbsentReason": "unknown"}},
        "component.0",
    ),
    Slot(
        "why there is no value",
        "measurements.value.absent.reason",
        ("Observation", "v"),
        lambda word: {"measurements": [THICKNESS | {"value": {"absent": {"reason": word, "text": "why"}}}]},
        same("dataAbsentReason", REASONS),
    ),
    Slot(
        "why there is no time, or no word on it",
        "measurements.when.absent",
        ("Observation", "v"),
        lambda word: {"measurements": [THICKNESS | given("when", word and {"absent": word, "text": "then"})]},
        {None: {}} | same("_effectiveDateTime", REASONS),
    ),
    Slot(
        "an infusion was given, in part, or not",
        "therapies.administrations.status",
        ("MedicationAdministration", "a"),
        lambda word: {
            "therapies": [COURSE | {"administrations": [{"key": "a", "status": word, "when": {"at": "2024"}}]}],
        },
        statuses(CYCLE_WORDS, GIVEN),
    ),
    Slot(
        "a cycle was given, in part, or not",
        "therapies.cycle_records.status",
        ("Procedure", "z"),
        lambda word: {"therapies": [COURSE | {"cycle_records": [{"key": "z", "number": 1, "status": word}]}]},
        statuses(CYCLE_WORDS, GIVEN),
    ),
    Slot(
        "a drug was taken, stopped, never taken, or nobody knows",
        "therapies.status",
        ("MedicationStatement", "t"),
        lambda word: {"therapies": [COURSE | {"status": word}]},
        statuses(COURSE_WORDS, ("intended", "active", "completed", "stopped", "on-hold", "not-taken", "unknown")),
    ),
    Slot(
        "a procedure was done, stopped, never done, or nobody knows",
        "therapies.status",
        ("Procedure", "t"),
        lambda word: {"therapies": [COURSE | {"kind": "procedure", "status": word}]},
        statuses(COURSE_WORDS, PROCEDURE),
    ),
    Slot(
        "a diagnosis is confirmed, doubted or refuted",
        "conditions.verification_status",
        ("Condition", "c"),
        lambda word: {
            "conditions": [
                CONDITION | {"verification_status": word} | ({} if word == "refuted" else {"clinical_status": "active"})
            ]
        },
        same("verificationStatus", ("unconfirmed", "provisional", "differential", "confirmed", "refuted")),
    ),
    Slot(
        "a diagnosis is active, past, or nobody said (of a refuted one)",
        "conditions.clinical_status",
        ("Condition", "c"),
        lambda word: {
            "conditions": [CONDITION | ({"clinical_status": word} if word else {"verification_status": "refuted"})]
        },
        {None: {}} | same("clinicalStatus", ("active", "recurrence", "relapse", "inactive", "remission", "resolved")),
    ),
    Slot(
        "a disease got better, worse, or no response was seen",
        "disease_status.status",
        ("Observation", "d"),
        lambda word: {
            "conditions": [CONDITION | {"clinical_status": "active"}],
            "disease_status": [{"key": "d", "status": word, "condition": "c"}],
        },
        same("valueCodeableConcept", RESPONSES),
    ),
    Slot(
        "a response, or none",
        "assessments.result",
        ("Observation", "e"),
        lambda word: {
            "assessments": [
                {"key": "e", "domain": concept("skin")}
                | ({"value": {"text": "softer"}} if word is None else {"result": word})
            ]
        },
        {None: {}} | same("valueCodeableConcept", RESPONSES),
    ),
    Slot(
        "a change: less, more, none, better, worse, or nobody said",
        "measurements.trend",
        ("Observation", "v"),
        lambda word: {"measurements": [THICKNESS | given("trend", word)]},
        {None: {}}
        | {word: {"component": f"trend-{word}"} for word in ("decreased", "increased", "unchanged")}
        | {"better": {"component": "B"}, "worse": {"component": "W"}},
    ),
    Slot(
        "the sex is unknown, or nobody said",
        "patient.sex",
        ("Patient", "patient"),
        lambda word: {"patient": given("sex", word)},
        {None: {}} | same("gender", ("male", "female", "other", "unknown")),
    ),
    Slot(
        "the patient died, did not, or nobody said",
        "patient.deceased.value",
        ("Patient", "patient"),
        lambda word: {"patient": {} if word is None else {"deceased": {"value": word}}},
        {None: {}, True: {"deceasedBoolean": True}, False: {"deceasedBoolean": False}},
    ),
    Slot(
        "why there is no birth date, or no word on it",
        "patient.birth_date.absent",
        ("Patient", "patient"),
        lambda word: {"patient": given("birth_date", word and {"absent": word, "text": "why"})},
        {None: {}} | same("_birthDate", REASONS),
    ),
    Slot(
        "an encounter is planned, took place, was cancelled, or nobody knows",
        "encounters.status",
        ("Encounter", "y"),
        lambda word: {"encounters": [{"key": "y", "class": {"system": "urn:x", "code": "AMB"}, "status": word}]},
        same("status", ("planned", "arrived", "triaged", "in-progress", "onleave", "finished", "cancelled", "unknown")),
    ),
    Slot(
        "a report of the literature combined nothing, or nobody said",
        "literature.rows.combination_none",
        ("Group", "g"),
        lambda word: {
            "literature": {
                "key": "l",
                "title": "reports",
                "rows": [{"key": "g", "label": "A et al", "patients": 1, **given("combination_none", word)}],
            }
        },
        {None: {}, True: {"characteristic": False}},
    ),
)


def clone(**chain: Json) -> Json:
    """A case of one clone with this chain."""
    clones = [{"key": "n", "quantity": {"absent": {"reason": "unknown"}}, **chain}]
    return {"monoclonal_protein": [{"key": "m", "clonality": "monoclonal", "clones": clones}]}


ROWS = [pytest.param(slot, word, id=f"{slot.field}-{slot.resource[0]}-{word}") for slot in SLOTS for word in slot.words]
NO_STATUS = ("Patient", "Group")
each_row = pytest.mark.parametrize(("slot", "word"), ROWS)
each_row_with_status = pytest.mark.parametrize(
    ("slot", "word"), [row for row in ROWS if row.values[0].resource[0] not in NO_STATUS]
)
each_slot = pytest.mark.parametrize("slot", SLOTS, ids=lambda slot: f"{slot.field}-{slot.resource[0]}")


def made(slot: Slot, word: Any) -> Case:
    """The smallest case that says the word."""
    root = {"schema_version": "1.0", "case_system": "urn:test:cases", "case_id": "negation", "language": "en"}
    return load_case({**root, "patient": {}, **slot.case(word)})


def told(bundle: Json, slot: Slot) -> Tells:
    """What the resource says in the elements of the slot: a code, a word, true or false."""
    element: Any = resource(bundle, slot)
    for step in slot.within.split(".") if slot.within else ():
        element = element[int(step)] if step.isdigit() else element[step]
    return {name: _word(element[name]) for name in slot.elements if name in element}


def resource(bundle: Json, slot: Slot) -> Json:
    """The resource of the slot's item."""
    type_, key = slot.resource
    for entry in bundle["entry"]:
        found: Json = entry["resource"]
        values = [one["value"] for one in found.get("identifier", ())]
        if found["resourceType"] == type_ and f"negation/{key}" in values:
            return found
    raise AssertionError(f"no {type_} of {key}")


def _word(json: Any) -> Any:
    """The first code in an element: of a concept, of a list, of an extension, of what lies inside."""
    if isinstance(json, list):
        return _word(json[0])
    if not isinstance(json, dict):
        return json
    for name in ("coding", "valueCodeableConcept", "valueBoolean", "valueCode", "extension"):
        if name in json:
            return _word(json[name])
    return json["code"]


def said(case: Case, slot: Slot) -> Any:
    """The word that the case says in the slot; ``None`` if it says none."""
    json: Any = dump_case(case)
    for step in slot.field.split("."):
        json = (json[0] if json else {}) if isinstance(json, list) else json
        json = json.get(step) if isinstance(json, dict) else None
    return json


# --- the tests ------------------------------------------------------------------------------------


@each_row
def test_word_is_written(slot: Slot, word: Any) -> None:
    """The word stands in FHIR as its own elements, and none of another word's beside them."""
    assert told(to_fhir(made(slot, word)), slot) == slot.words[word]


@each_row
def test_word_is_read(slot: Slot, word: Any) -> None:
    """What was written is read as the same word."""
    case = made(slot, word)
    again, report = from_fhir(to_fhir(case))
    assert said(again, slot) == word
    assert again == case
    assert report.errors == []


@each_slot
def test_no_two_words_look_alike(slot: Slot) -> None:
    """Within a slot, every word is told by other elements than every other."""
    looks = [tuple(sorted((name, repr(code)) for name, code in tells.items())) for tells in slot.words.values()]
    assert len(set(looks)) == len(looks)


@each_row
def test_silence_is_no_word(slot: Slot, word: Any) -> None:
    """Where a sender leaves the elements out, the item is not read or says nothing: silence is neither yes nor no."""
    bundle = deepcopy(to_fhir(made(slot, word)))
    element: Any = resource(bundle, slot)
    for step in slot.within.split(".") if slot.within else ():
        element = element[int(step)] if step.isdigit() else element[step]
    for name in slot.elements:
        element.pop(name, None)
    try:
        case, _ = from_fhir(bundle)
    except MappingError:
        return
    assert said(case, slot) is None


@each_row_with_status
def test_entered_in_error_is_no_word(slot: Slot, word: Any) -> None:
    """A resource entered in error says nothing, whatever it says; the document is not refused for it."""
    bundle = deepcopy(to_fhir(made(slot, word)))
    found = resource(bundle, slot)
    if found["resourceType"] == "Condition":
        system = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
        found["verificationStatus"] = {"coding": [{"system": system, "code": "entered-in-error"}]}
    else:
        found["status"] = "entered-in-error"
    case, report = from_fhir(bundle)
    assert said(case, slot) is None
    assert report.errors


@each_slot
def test_every_word_has_its_row(slot: Slot) -> None:
    """Every word that the model has in the slot has a row here, and no other word."""
    shape = field_of(slot)
    words = shape.words or ((True, False) if shape.type is bool else ())
    assert {word for word in slot.words if word is not None} == set(words)


def field_of(slot: Slot) -> Shape:
    """The field of the model that the slot names."""
    cls: type = Case
    for step in slot.field.split("."):
        shape = shapes(cls)[step]
        cls = shape.type
    return shape


def test_every_slot_of_presence_is_here() -> None:
    """Every field of the model that can be present, absent or unknown is a slot."""
    found = {path for name, _ in SECTIONS for path in _presences(Case, name)}
    assert found == {slot.field for slot in SLOTS if set(slot.words) == set(PRESENCE)}


def _presences(cls: type, name: str) -> set[str]:
    shape = shapes(cls)[name]
    if set(shape.words) == set(PRESENCE):
        return {name}
    if not hasattr(shape.type, "__dataclass_fields__"):
        return set()
    return {f"{name}.{path}" for inner in shapes(shape.type) for path in _presences(shape.type, inner)}
