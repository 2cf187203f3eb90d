"""Hostile input: it gets issues, never a crash, and time in line with its size."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from adapter.r4 import check
from adapter.r4.faults import DEEPEST, MOST
from tests.r4.specimens import DIV, SOUND, UCUM, patched, ref, urn

Json = Any


def nested(levels: int, make: Callable[[Json], Json], inner: Json) -> Json:
    """Nest something into itself."""
    for _ in range(levels):
        inner = make(inner)
    return inner


def extension(inner: Json) -> Json:
    """Nest extensions."""
    return {"url": "http://a.b/c", "extension": [inner]}


LEAF = {"url": "http://a.b/c", "valueString": "x"}
DEEP = 20_000
HOSTILE: dict[str, Callable[[], Json]] = {
    "no object": lambda: ["a"],
    "nothing": lambda: None,
    "float": lambda: 1.5,
    "empty": dict,
    "deep extensions": lambda: patched("patient", "extension.0", nested(DEEP, extension, LEAF)),
    "deep lists": lambda: patched("patient", "name", nested(DEEP, lambda x: [x], "a")),
    "deep unknown": lambda: patched("patient", "x", nested(DEEP, lambda x: {"x": x}, "a")),
    "deep identifiers": lambda: patched(
        "patient", "identifier.0", nested(DEEP, lambda x: {"assigner": {"identifier": x}}, {"value": "1"})
    ),
    "deep bundles": lambda: nested(
        DEEP,
        lambda x: {"resourceType": "Bundle", "type": "collection", "entry": [{"fullUrl": urn(1), "resource": x}]},
        SOUND["patient"],
    ),
    "deep contained": lambda: nested(DEEP, lambda x: {**x, "contained": [x]}, SOUND["patient"]),
    "deep sections": lambda: patched(
        "composition", "section.0", nested(DEEP, lambda x: {"section": [x]}, {"title": "a"})
    ),
    "deep coding": lambda: patched(
        "observation",
        "component.0.code",
        {"coding": [nested(DEEP, lambda x: {"extension": [{"url": "http://a.b", "valueCoding": x}]}, {"code": "a"})]},
    ),
    "deep narrative": lambda: patched("patient", "text.div", DIV % ("<p>" * DEEP + "a" + "</p>" * DEEP)),
    "wide unknown": lambda: {**SOUND["patient"], **{f"x{n}": n for n in range(100_000)}},
    "many nulls": lambda: patched("patient", "name", [None] * 200_000),
    "many siblings": lambda: patched("patient", "name.0", {"given": [None] * 100_000, "_given": [None] * 100_000}),
    "many ids": lambda: patched("patient", "name", [{"id": f"n{n}", "text": "a"} for n in range(50_000)]),
    "many codings": lambda: patched(
        "weight", "code.coding", [{"system": "http://loinc.org", "code": "29463-7"}] * 50_000
    ),
    "many wrong codes": lambda: patched(
        "observation",
        "method",
        {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/v2-0550", "code": f"x{n}"} for n in range(50_000)
            ]
        },
    ),
    "many units": lambda: patched(
        "observation", "method", {"coding": [{"system": UCUM, "code": f"m{n}"} for n in range(20_000)]}
    ),
    "many components": lambda: patched("pressure", "component", SOUND["pressure"]["component"] * 10_000),
    "same components": lambda: patched(
        "observation", "component", [{"code": {**SOUND["observation"]["code"]}, "valueString": "a"}] * 20_000
    ),
    "many contained": lambda: patched(
        "statement", "contained", [{"resourceType": "Medication", "id": f"m{n}"} for n in range(20_000)]
    ),
    "many parts": lambda: patched(
        "administration",
        "_effectiveDateTime.extension.0.extension",
        [{"url": "target", "valueReference": ref("Encounter/1")}] * 50_000,
    ),
    "giant string": lambda: patched("patient", "name.0.family", "a" * 5_000_000),
    "giant spaces": lambda: patched("patient", "gender", "a" + " " * 2_000_000 + "b"),
    "giant reference": lambda: patched("observation", "subject.reference", "/".join(["Patient"] * 500_000)),
    "giant base64": lambda: patched("patient", "photo.0.data", "aaaa" * 1_000_000 + "!"),
    "giant spaced base64": lambda: patched("patient", "photo.0.data", "aaaa " * 500_000 + "!"),
    "giant date": lambda: patched("observation", "effectiveDateTime", "2023-06-21T06:20:00." + "1" * 1_000_000 + "Z"),
    "giant key": lambda: {**SOUND["patient"], "k" * 2_000_000: 1},
    "giant type": lambda: {"resourceType": "P" * 2_000_000},
    "giant integer": lambda: patched("patient", "telecom.0.rank", 10**200_000),
    "giant decimal": lambda: patched("observation", "valueQuantity.value", Decimal("1." + "1" * 200_000)),
    "giant exponent": lambda: patched("observation", "valueQuantity.value", Decimal("1E+999999")),
    "giant count": lambda: patched(
        "condition",
        "extension.0",
        {"url": "http://a.b", "valueCount": {"value": 10**10_000, "system": UCUM, "code": "1"}},
    ),
    "giant unit": lambda: patched("observation", "valueQuantity.code", "(" * 1_000_000),
    "giant max": lambda: patched("patient", "extension.0", {"url": "http://a.b", "valueString": "1" * 10_000}),
    "surrogate key": lambda: {**SOUND["patient"], "\ud800": 1},
    "surrogate code": lambda: patched("condition", "clinicalStatus.coding.0.code", "\udfff"),
    "surrogate narrative": lambda: patched("patient", "text.div", DIV % "\ud800"),
    "control characters": lambda: patched("patient", "name.0.family", "\x00\x1f"),
    "billion laughs": lambda: patched(
        "patient", "text.div", "<!DOCTYPE d [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]>" + DIV % "&b;"
    ),
    "many attributes": lambda: patched(
        "patient", "text.div", DIV % ("<p " + " ".join(f'x{n}=""' for n in range(50_000)) + "/>")
    ),
    "unclosed": lambda: patched("patient", "text.div", DIV.removesuffix("</div>") % ("<p>" * 200_000)),
    "number keys": lambda: {**SOUND["patient"], 5: 1, None: 2},
    "lists for strings": lambda: patched("observation", "code.coding.0", {"system": [], "code": {}}),
    "object as url": lambda: patched("patient", "extension.0.url", {}),
    "object as reference": lambda: patched("observation", "subject.reference", {"a": 1}),
    "text as entry": lambda: patched("collection", "entry", "a"),
    "objects as links": lambda: patched("collection", "link", [{"relation": {}}, 5]),
    "list as type": lambda: patched("collection", "type", ["document"]),
    "object as fullUrl": lambda: patched("collection", "entry.0.fullUrl", {}),
    "list as id": lambda: patched("statement", "contained.0.id", ["a"]),
    "end of time": lambda: patched("encounter", "period", {"start": "9999-12-31T23:59:59-14:00", "end": "9999-12-31"}),
    "start of time": lambda: patched(
        "encounter", "period", {"start": "0001-01-01", "end": "0001-01-01T00:00:00+14:00"}
    ),
}
#: Large and strange, but R4.
HARMLESS = {"deep narrative", "many ids", "giant date", "giant max"}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile(name: str) -> None:
    """Hostile input gets an issue whose texts are short and can be written, within seconds."""
    document = HOSTILE[name]()
    start = time.perf_counter()
    issues = check(document)
    assert time.perf_counter() - start < 5
    assert (name not in HARMLESS) <= len(issues) <= MOST + 1
    for issue in issues:
        line = issue.line() + issue.pointer
        assert len(line) < 12_000
        assert line.isprintable()
        line.encode()


def test_depth_says_so() -> None:
    """Nesting beyond the limit has its own rule; up to the limit it is fine."""
    assert "depth" in {issue.rule for issue in check(HOSTILE["deep extensions"]())}
    assert check(patched("patient", "extension.0", nested(DEEPEST - 2, extension, LEAF))) == []


def test_any_change_survives() -> None:
    """Whatever value is put anywhere, nothing is raised."""
    chance = random.Random(4)
    values: list[Json] = [
        None,
        True,
        0,
        -1,
        10**30,
        Decimal("1.5"),
        1.5,
        "",
        "a",
        " ",
        "#",
        "urn:uuid:",
        [],
        [None],
        {},
        {"id": "a"},
        {"url": "a"},
        {"coding": 5},
        [[]],
        {"reference": "#"},
        {"resourceType": "Patient"},
        "2023",
        "\ud800",
        {1: 2},
    ]
    for _ in range(6000):
        document = patched(chance.choice(list(SOUND)), "id", "a")
        at: Json = document
        while True:
            key = chance.choice(list(at) if isinstance(at, dict) else range(len(at)))
            if not at[key] or not isinstance(at[key], (dict, list)) or chance.random() < 0.25:
                break
            at = at[key]
        if isinstance(at, dict) and chance.random() < 0.3:
            key = chance.choice(
                ["extension", "id", "contained", "_" + str(key), "valueQuantity", "coding", "entry", "link"]
            )
        at[key] = chance.choice(values)
        check(document)
