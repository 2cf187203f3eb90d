"""What a careful reader would look at twice. Warnings only: unusual is not wrong, and nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from mappings.case import Case
from mappings.concepts.therapy import Therapy
from mappings.report import Issue
from mappings.terms import TERMS
from mappings.values import Concept, Quantity, When

#: IVIg a cycle: from a tenth to twice of what is usual in scleromyxedema (0.4 to 2 g/kg).
USUAL_G_PER_KG = (Decimal("0.2"), Decimal("4"))
#: How far grams may be from g/kg times weight before it is worth a look.
TOLERANCE = Decimal("0.1")


def plausibility(case: Case) -> list[Issue]:
    """Each thing worth a second look, as a warning that names the place and no value."""
    return [*_gammopathy(case), *(i for n, t in enumerate(case.therapies) for i in _therapy(case, n, t))]


def _warn(pointer: str, message: str) -> Issue:
    path = "case" + "".join(f"[{s}]" if s.isdigit() else f".{s}" for s in pointer.split("/")[1:])
    return Issue("implausible", message, path, pointer)


def _gammopathy(case: Case) -> Iterator[Issue]:
    found = any(panel.clones for panel in case.monoclonal_protein)
    if found and not any(c.role == "gammopathy" and c.verification_status != "refuted" for c in case.conditions):
        yield _warn("/monoclonal_protein", "There is a monoclonal protein and no gammopathy among the diagnoses.")


def _is_ivig(code: Concept) -> bool:
    return any((c.system, c.code) in TERMS.ivig.pairs for c in code.codings)


def _therapy(case: Case, index: int, therapy: Therapy) -> Iterator[Issue]:
    here = f"/therapies/{index}"
    if _is_ivig(therapy.code):
        for n, dose in enumerate(therapy.doses):
            if dose.amount is not None and _unusual(dose.amount):
                yield _warn(f"{here}/doses/{n}/amount", "The dose is far from the protocols for IVIg.")
        for n, given in enumerate(therapy.administrations):
            if given.dose is not None and given.day is None and _unusual(given.dose):
                yield _warn(f"{here}/administrations/{n}/dose", "The dose is far from the protocols for IVIg.")
    yield from _order(here, therapy)
    yield from _weights(case, here, therapy)


def _unusual(dose: Quantity) -> bool:
    """Far from 0.4 to 2 g/kg; a dose in mg/kg is compared in g/kg, and kept as it is."""
    low, high = USUAL_G_PER_KG
    factor = {"g/kg": Decimal(1), "mg/kg": Decimal("0.001")}.get(dose.unit)
    return factor is not None and not low <= dose.value * factor <= high


def _order(here: str, therapy: Therapy) -> Iterator[Issue]:
    """Cycles whose days run against their numbers; days are compared as far as both are known."""
    records = [(f"{here}/cycle_records/{n}", r.number, r.when) for n, r in enumerate(therapy.cycle_records)]
    given = [(f"{here}/administrations/{n}", a.cycle, a.when) for n, a in enumerate(therapy.administrations)]
    for listed in (records, given):
        last = (0, "")
        for pointer, cycle, when in listed:
            start = _start(when)
            if cycle is None or start is None:
                continue
            if cycle > last[0] and start < last[1][: len(start)]:
                yield _warn(f"{pointer}/when", "A later cycle is dated before an earlier one.")
            last = max(last, (cycle, start))


def _start(when: When | None) -> str | None:
    """The day, month or year in which something began, if it is told."""
    period = when.period if when else None
    start = (when.at if when else None) or (period.start if period else None)
    return start[:10] if isinstance(start, str) else None


def _weights(case: Case, here: str, therapy: Therapy) -> Iterator[Issue]:
    """Grams that are not g/kg times kg."""
    weights = {m.key: m.value.quantity for m in case.measurements if m.kind == "body-weight"}
    for n, given in enumerate(therapy.administrations):
        weight = weights.get(given.weight or "")
        per_kg = given.dose_normalized
        if weight is None or per_kg is None or given.dose is None:
            continue
        if (weight.unit, per_kg.unit, given.dose.unit) == ("kg", "g/kg", "g"):
            expected = weight.value * per_kg.value
            if abs(given.dose.value - expected) > TOLERANCE * expected:
                yield _warn(f"{here}/administrations/{n}/dose", "The dose is not the dose per kg times the weight.")
