"""The paper's table as the oracle: from the Bundle alone the ten printed rows come back."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mappings import decode, encode, load_case, to_fhir
from mappings.terms import TERMS, WORDS
from tests.query import Json, Look, means
from tests.table1 import ROWS

EXAMPLE = Path(__file__).parent.parent / "examples" / "published-case" / "case.json"
MONTHLY = (1, Decimal(1), "mo")
REFERENCE_NUMBER = "https://scleromyx.invalid/fhir/sid/reference-number"


@cache
def _made(bundle_type: str) -> bytes:
    case = load_case(EXAMPLE.read_bytes())
    return encode(to_fhir(case, bundle_type=bundle_type, now="2026-01-01T00:00:00Z"))


@pytest.fixture(params=["collection", "document"])
def bundle(request: pytest.FixtureRequest) -> Json:
    """The published case as it goes over the wire, in each shape that carries literature."""
    received: Json = decode(_made(request.param))
    return received


class Told(NamedTuple):
    """What a Bundle tells of one report."""

    reference: int
    label: str
    patients: int
    protocol: str
    dose: Decimal
    unit: str
    interval: tuple[int, Decimal, str]
    combination: tuple[str, ...] | None
    result: str
    response: str
    background: str


def told(look: Look, group: Json) -> Told:
    """One report, from its Group and what hangs on it."""
    drugs = look.about(group, "MedicationStatement")
    (regimen,) = (d for d in drugs if means(d["category"], TERMS.studied_regimen))
    (line,) = regimen["dosage"]
    repeat, dose = line["timing"]["repeat"], line["doseAndRate"][0]["doseQuantity"]
    (reference,) = look.about(group, "DocumentReference")
    (number,) = (one["value"] for one in reference["identifier"] if one["system"] == REFERENCE_NUMBER)
    (answer,) = (
        r for r in look.about(group, "Observation") if means(r["code"], TERMS.overall_response) and _of(r, regimen)
    )
    (result,) = (word for word, term in WORDS["response"].items() if means(answer["valueCodeableConcept"], term))
    (protocol,) = (c["valueCodeableConcept"] for c in group["characteristic"] if means(c["code"], TERMS.ivig_protocol))
    return Told(
        int(number),
        group["name"],
        group["quantity"],
        next(word for word, term in WORDS["protocol"].items() if means(protocol, term)),
        Decimal(dose["value"]),
        dose["code"],
        (repeat["frequency"], Decimal(repeat["period"]), repeat["periodUnit"]),
        _combination(group, drugs),
        result,
        answer["valueCodeableConcept"]["text"],
        look.about(group, "Condition")[0]["code"]["text"],
    )


def _of(response: Json, therapy: Json) -> bool:
    return {"reference": f"urn:uuid:{therapy['id']}"} in response["focus"]


def _combination(group: Json, drugs: list[Json]) -> tuple[str, ...] | None:
    """The drugs beside IVIg as the paper names them; empty if it says none; None if a Bundle says nothing."""
    with_it = tuple(
        d["medicationCodeableConcept"]["text"] for d in drugs if means(d["category"], TERMS.combination_therapy)
    )
    said = [c["valueBoolean"] for c in group["characteristic"] if means(c["code"], TERMS.combination_therapy)]
    return with_it if with_it and said == [] else () if said == [False] and not with_it else None


def table(bundle: Json) -> list[Told]:
    """The whole table, in the order of its List."""
    look = Look(bundle)
    (listed,) = look.all("List")
    return [told(look, look.at(entry["item"])) for entry in listed["entry"]]


def expected() -> list[Told]:
    """The table as printed."""
    return [
        Told(
            r.reference,
            r.label,
            r.patients,
            r.protocol,
            r.dose,
            "g/kg",
            MONTHLY,
            r.combination,
            r.result,
            r.response,
            r.background,
        )
        for r in ROWS
    ]


def test_the_ten_rows_come_back_in_print_order(bundle: Json) -> None:
    """Number, patients, dose to the digit, interval, combination and class of response of each row, as printed."""
    found, printed = table(bundle), expected()
    assert found == printed
    assert [one.dose.as_tuple() for one in found] == [one.dose.as_tuple() for one in printed]


def test_the_digits_of_the_doses(bundle: Json) -> None:
    """1.5, 2, 0.4 and 0.5 g/kg, and no other spelling of them."""
    assert {str(one.dose) for one in table(bundle)} == {"1.5", "2", "0.4", "0.5"}


def test_the_printed_dose_stays_in_words(bundle: Json) -> None:
    """The decimal comma of the print is kept in the text of the line."""
    look = Look(bundle)
    for row in ROWS:
        words = look.told(f"{row.key}-ivig")["dosage"][0]["text"]
        assert words == f"{row.printed_dose} g/kg body weight, once monthly"


@pytest.mark.parametrize(("protocol", "reports", "patients"), [("full-dose", 6, 14), ("low-dose", 4, 4)])
def test_the_sums(bundle: Json, protocol: str, reports: int, patients: int) -> None:
    """6 full-dose reports have 14 patients, 4 low-dose reports have 4."""
    block = [one for one in table(bundle) if one.protocol == protocol]
    assert (len(block), sum(one.patients for one in block)) == (reports, patients)


def test_the_blocks_are_split_where_the_print_splits_them(bundle: Json) -> None:
    """All full-dose rows stand before all low-dose rows, and a low dose is at most 0.5 g/kg."""
    found = table(bundle)
    assert [one.protocol for one in found] == ["full-dose"] * 6 + ["low-dose"] * 4
    assert all((one.dose <= Decimal("0.5")) == (one.protocol == "low-dose") for one in found)


def test_nobody_is_made_up(bundle: Json) -> None:
    """There are ten Groups, 18 people in them, and one Patient, who is in none."""
    look = Look(bundle)
    groups = look.all("Group")
    assert (len(groups), sum(g["quantity"] for g in groups), len(look.all("Patient"))) == (10, 18, 1)
    assert not any("member" in group for group in groups)


# --- the oracle sees what is wrong ------------------------------------------------------------


def _regimen(look: Look, number: int) -> Json:
    return look.by_key[f"lit-ref-{number}-ivig"]["dosage"][0]


def _swap(look: Look) -> None:
    (listed,) = look.all("List")
    listed["entry"][0], listed["entry"][1] = listed["entry"][1], listed["entry"][0]


def _class(look: Look, number: int, word: str) -> None:
    answer = look.by_key[f"lit-ref-{number}-response"]["valueCodeableConcept"]
    answer["coding"][0]["code"] = WORDS["response"][word].code


WRONG: dict[str, Callable[[Look], Any]] = {
    "another order": _swap,
    "another reference number": lambda look: look.by_key["lit-ref-9-reference"]["identifier"][1].update(value="8"),
    "fewer patients": lambda look: look.by_key["lit-ref-10"].update(quantity=1),
    "a lost decimal comma": lambda look: _regimen(look, 7)["doseAndRate"][0]["doseQuantity"].update(value=15),
    "another digit": lambda look: _regimen(look, 8)["doseAndRate"][0]["doseQuantity"].update(value=Decimal("2.0")),
    "another unit": lambda look: _regimen(look, 14)["doseAndRate"][0]["doseQuantity"].update(code="mg/kg"),
    "another interval": lambda look: _regimen(look, 12)["timing"]["repeat"].update(periodUnit="wk"),
    "no combination where there is one": lambda look: look.by_key["lit-ref-11-thalidomide"].update(category={}),
    "a combination where there is none": lambda look: look.by_key["lit-ref-8"]["characteristic"].pop(),
    "another class": lambda look: _class(look, 12, "improved"),
    "the other protocol": lambda look: look.by_key["lit-ref-15"]["characteristic"][0]["valueCodeableConcept"].update(
        coding=[{"system": c.system, "code": c.code} for c in TERMS.full_dose.codings]
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_table_is_seen(bundle: Json, name: str) -> None:
    """Each kind of slip makes the table another one, or one that cannot be read."""
    wrong = deepcopy(bundle)
    WRONG[name](Look(wrong))
    assert wrong != bundle or name == "another digit"
    try:
        found = table(wrong)
    except (KeyError, ValueError, StopIteration):
        return
    assert [(one, one.dose.as_tuple()) for one in found] != [(one, one.dose.as_tuple()) for one in expected()]
