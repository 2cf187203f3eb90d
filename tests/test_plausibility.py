"""Warnings about what a careful reader would look at twice: each warns, its neighbour does not, none refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mappings import Report, decode, dump_case, encode, from_fhir, load_case, to_fhir
from mappings.plausibility import plausibility
from mappings.terms import TERMS

EXAMPLES = Path(__file__).parent.parent / "examples"
Json = dict[str, Any]

PANEL = {"key": "panel", "clonality": "monoclonal"} | {
    "clones": [{"key": "clone", "heavy_chain": {"type": "igg"}, "quantity": {"absent": {"reason": "unknown"}}}]
}


def coded(name: str) -> Json:
    """A term as a concept of a case."""
    term = TERMS[name]
    return {"text": term.display, "codings": [{"system": c.system, "code": c.code} for c in term.codings]}


def case(**sections: Any) -> Json:
    """A case with these sections."""
    frame = {"schema_version": "1.0", "case_system": "https://h.example/sid", "case_id": "p", "language": "en"}
    return decode(encode(frame | {"patient": {}} | sections))


def diagnosis(role: str, verification: str = "confirmed") -> Json:
    found = {"key": f"c-{role}", "role": role, "code": {"text": role}, "verification_status": verification}
    return found | ({} if verification == "refuted" else {"clinical_status": "active"})


def ivig(**members: Any) -> Json:
    """A case with one course of IVIg."""
    return case(therapies=[{"key": "t", "kind": "drug", "code": coded("ivig"), "status": "completed"} | members])


def line(value: str, unit: str = "g/kg", **more: Any) -> Json:
    return {"sequence": 1, "amount": {"value": decode(value.encode()), "unit": unit}} | more


def given(number: int, on: str | Json = "", **more: Any) -> Json:
    """One administration, as the only one of its cycle."""
    when = on if isinstance(on, dict) else {"at": on} if on else {"absent": "unknown"}
    return {"key": f"a{number}", "status": "given", "cycle": number, "when": when} | more


def dose(value: str, unit: str) -> Json:
    return {"value": decode(value.encode()), "unit": unit}


def warned(document: Json) -> list[str]:
    """The places that are warned about; whatever the case holds, it loads, converts and comes back."""
    loaded = load_case(document)
    report = Report("case-to-fhir")
    bundle = to_fhir(loaded, report=report)
    assert from_fhir(bundle)[0] == loaded
    issues = [issue for issue in report.issues if issue.code == "implausible"]
    assert {issue.level for issue in issues} <= {"warning"}
    assert issues == plausibility(loaded)
    return [issue.pointer for issue in issues]


# --- monoclonal protein without gammopathy ----------------------------------------------------


def test_a_monoclonal_protein_without_gammopathy_is_looked_at() -> None:
    """A clone was found and no diagnosis speaks of it, or only one that is refuted."""
    assert warned(case(monoclonal_protein=[PANEL])) == ["/monoclonal_protein"]
    assert warned(case(monoclonal_protein=[PANEL], conditions=[diagnosis("mucinosis")])) == ["/monoclonal_protein"]
    refuted = diagnosis("gammopathy", "refuted")
    assert warned(case(monoclonal_protein=[PANEL], conditions=[refuted])) == ["/monoclonal_protein"]


def test_a_monoclonal_protein_with_gammopathy_is_usual() -> None:
    """One diagnosis is enough, be it confirmed or not."""
    for verification in ("confirmed", "provisional", "unconfirmed", "differential"):
        found = diagnosis("gammopathy", verification)
        assert warned(case(monoclonal_protein=[PANEL], conditions=[diagnosis("mucinosis"), found])) == []


def test_no_monoclonal_protein_is_nothing_to_look_at() -> None:
    """Scleromyxedema without a paraprotein: not looked for, not detected, or a gammopathy without a panel."""
    none = {"key": "panel", "clonality": "none-detected"}
    unknown = {"key": "panel", "clonality": "unknown"}
    assert warned(case(conditions=[diagnosis("mucinosis")])) == []
    assert warned(case(conditions=[diagnosis("mucinosis")], monoclonal_protein=[none])) == []
    assert warned(case(conditions=[diagnosis("mucinosis")], monoclonal_protein=[unknown])) == []
    assert warned(case(conditions=[diagnosis("gammopathy")])) == []


# --- dose far from the protocols --------------------------------------------------------------

USUAL = ["0.2", "0.4", "0.5", "1", "1.5", "2", "2.0", "3", "4"]
FAR = ["0.19", "0.02", "0", "4.01", "20", "400"]


@pytest.mark.parametrize("value", FAR)
def test_a_dose_far_from_the_protocols_is_looked_at(value: str) -> None:
    """In the regimen and in what was given: less than a tenth of 2 g/kg, more than twice of it."""
    assert warned(ivig(doses=[line(value)])) == ["/therapies/0/doses/0/amount"]
    assert warned(ivig(administrations=[given(1, dose=dose(value, "g/kg"))])) == ["/therapies/0/administrations/0/dose"]


@pytest.mark.parametrize("value", USUAL)
def test_a_dose_of_the_protocols_is_usual(value: str) -> None:
    """0.4 to 2 g/kg, with room on both sides."""
    assert warned(ivig(doses=[line(value)], administrations=[given(1, dose=dose(value, "g/kg"))])) == []


def test_a_share_of_a_day_is_no_dose_of_a_cycle() -> None:
    """What one of five days brought is not held against the protocol of a cycle."""
    days = [given(1, dose=dose("0.1", "g/kg"), day=day, key=f"d{day}") for day in range(1, 6)]
    assert warned(ivig(administrations=days)) == []


def test_another_unit_is_not_judged() -> None:
    """Grams and volumes say nothing without a weight, a strength."""
    for unit in ("g", "mL"):
        assert warned(ivig(doses=[line("150", unit)])) == []


def test_milligrams_per_kg_are_judged_as_grams() -> None:
    """2 mg/kg is a slip of the unit for 2 g/kg; 2000 mg/kg is the usual dose."""
    assert warned(ivig(doses=[line("2", "mg/kg")])) != []
    assert warned(ivig(doses=[line("2000", "mg/kg")])) == []


def test_another_drug_is_not_judged() -> None:
    """The protocols are those of IVIg."""
    other = {"key": "t", "kind": "drug", "code": coded("cyclophosphamide"), "status": "completed"}
    assert warned(case(therapies=[other | {"doses": [line("20")]}])) == []


# --- cycles out of order ----------------------------------------------------------------------


def cycles(*days: str | Json) -> list[str]:
    """The warnings about cycles 1, 2, 3 ... on these days."""
    return warned(ivig(administrations=[given(number, day) for number, day in enumerate(days, 1)]))


def test_cycles_out_of_order_are_looked_at() -> None:
    """A later cycle on an earlier day, whatever the precision that both days have."""
    assert cycles("2024-02-06", "2024-01-09") == ["/therapies/0/administrations/1/when"]
    assert cycles("2024-01-09", "2024-03-05", "2024-02-06") == ["/therapies/0/administrations/2/when"]
    assert cycles("2024-02", "2024-01-09") == ["/therapies/0/administrations/1/when"]
    assert cycles("2024-02-06T09:00:00+01:00", "2023") == ["/therapies/0/administrations/1/when"]
    assert cycles({"period": {"start": "2024-02-06", "end": "2024-02-07"}}, "2024-01-09") != []


def test_cycles_in_order_are_usual() -> None:
    """Each later than the one before, at whatever distance, and listed in whatever order."""
    assert cycles("2024-01-09", "2024-02-06", "2024-03-05") == []
    listed = [given(2, "2024-02-06"), given(1, "2024-01-09")]
    assert warned(ivig(administrations=listed)) == []


def test_days_that_cannot_be_compared_are_not_judged() -> None:
    """A month and a day in it, a time that is relative or not known, a cycle without a number."""
    assert cycles("2024-02-06", "2024-02") == []
    assert cycles("2024-02-06", "", "2024-03-05") == []
    unnumbered = [given(1, "2024-02-06"), {"key": "b", "status": "given", "when": {"at": "2024-01-09"}}]
    assert warned(ivig(administrations=unnumbered)) == []


# --- a weight that contradicts grams and g/kg -------------------------------------------------


def weighed(grams: str, per_kg: str, weight: str = "75.0", unit: str = "kg") -> list[str]:
    """The warnings about a dose in grams beside the dose per kg and the weight."""
    weight_of = {
        "key": "w",
        "kind": "body-weight",
        "value": {"quantity": dose(weight, unit)},
        "when": {"absent": "unknown"},
    }
    one = given(1, dose=dose(grams, "g"), dose_normalized=dose(per_kg, "g/kg"), weight="w")
    return warned(ivig(administrations=[one]) | {"measurements": [weight_of]})


def test_a_weight_that_contradicts_the_grams_is_looked_at() -> None:
    """Grams more than a tenth away from g/kg times kg, up or down."""
    for grams in ("100.0", "166", "134", "15.0", "1500"):
        assert weighed(grams, "2") == ["/therapies/0/administrations/0/dose"]


def test_a_dose_rounded_to_whole_vials_is_usual() -> None:
    """150 g for 75 kg at 2 g/kg, and up to a tenth more or less."""
    for grams in ("150", "150.0", "145", "155", "165", "135"):
        assert weighed(grams, "2") == []


def test_without_all_three_nothing_is_compared() -> None:
    """No weight, no dose per kg, or a weight in another unit: no number is computed."""
    assert warned(ivig(administrations=[given(1, dose=dose("15", "g"), dose_normalized=dose("2", "g/kg"))])) == []
    assert warned(ivig(administrations=[given(1, dose=dose("15", "g"))])) == []
    assert weighed("15", "2", "75000", "g") == []


# --- unusual is not wrong ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["published-case", "synthetic-course", "minimal"])
def test_the_examples_are_usual(name: str) -> None:
    """Nothing of the published case, of the synthetic course, or of an empty case is worth a second look."""
    assert warned(decode((EXAMPLES / name / "case.json").read_bytes())) == []


@pytest.mark.parametrize("score", [0, 5, 30, 145, 2000])
def test_any_skin_score_is_accepted(score: int) -> None:
    """Scores differ by their instrument: 145 is one of the widest."""
    measured = {"key": "s", "kind": "skin-score", "value": {"integer": score}}
    assert warned(case(measurements=[measured])) == []


@pytest.mark.parametrize("days", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("weeks", [4, 5, 6, 8, 10])
def test_any_rhythm_is_accepted(days: int, weeks: int) -> None:
    """Cycles of one to five days, every four to ten weeks."""
    regimen = line("2", spread_over={"value": days, "unit": "d"}, frequency=1, period={"value": weeks, "unit": "wk"})
    assert warned(ivig(doses=[regimen])) == []


@pytest.mark.parametrize("drug", ["hydroxychloroquine", "melphalan", "thalidomide"])
def test_no_ivig_is_accepted(drug: str) -> None:
    """A case without IVIg, with another drug, or with none."""
    other = {"key": "t", "kind": "drug", "code": coded(drug), "status": "active"}
    assert warned(case(therapies=[other])) == []
    assert warned(case(conditions=[diagnosis("mucinosis")])) == []


def test_what_is_unusual_is_still_written_as_it_is() -> None:
    """Everything at once: four warnings, no refusal, and not one digit changed."""
    weight = {
        "key": "w",
        "kind": "body-weight",
        "value": {"quantity": dose("75.0", "kg")},
        "when": {"absent": "unknown"},
    }
    odd = [
        given(1, "2024-02-06", dose=dose("40.0", "g/kg")),
        given(2, "2024-01-09", dose=dose("999", "g"), dose_normalized=dose("2.0", "g/kg"), weight="w"),
    ]
    document = ivig(administrations=odd) | {"measurements": [weight], "monoclonal_protein": [PANEL]}
    assert sorted(warned(document)) == [
        "/monoclonal_protein",
        "/therapies/0/administrations/0/dose",
        "/therapies/0/administrations/1/dose",
        "/therapies/0/administrations/1/when",
    ]
    assert encode(dump_case(from_fhir(to_fhir(load_case(document)))[0])) == encode(dump_case(load_case(document)))


def test_a_warning_names_the_place_and_no_value() -> None:
    """The pointer and a sentence; no number of the patient stands in it."""
    (issue,) = plausibility(load_case(ivig(doses=[line("77.7")])))
    assert (issue.path, issue.pointer) == ("case.therapies[0].doses[0].amount", "/therapies/0/doses/0/amount")
    assert "77" not in issue.line()
