"""A cycle or an infusion that was given, given in part, or not given.

One item a cycle where the source knows no days. Where it knows days: one item an infusion,
``part_of`` a `CycleRecord`, which is a Procedure and holds no dose, so that nothing is counted twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from mappings.choices import when
from mappings.codec import UCUM, RatioCodec, Unread, concept, own, plain, quantity, read_duration, reference, word
from mappings.concepts.dose import DOSE_UNITS, PER_SIZE, not_a_rate
from mappings.concepts.product import DRUGS
from mappings.many import following, owner, references
from mappings.report import Json
from mappings.resource import ResourceMap, subject
from mappings.rows import Row, Shapes, _left, at, derived, extension, fixed, inside, inside_extension
from mappings.terms import TERMS
from mappings.values import (
    TIME_UNITS,
    AtLeast,
    Concept,
    Duration,
    Forms,
    Key,
    Line,
    Noted,
    Quantity,
    Ratio,
    Ref,
    Units,
    When,
)

CYCLE = own("smx-cycle")
TIMES = Forms("at", "period", "relative", "absent")


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleRecord(Noted):
    """A cycle whose infusions are documented one by one."""

    number: Annotated[int, AtLeast(1)]
    status: Literal["given", "partial", "not-given", "in-progress", "on-hold", "unknown"]
    when: Annotated[When, TIMES] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Administration(Noted):
    """What was given at one time: the drug is that of the course, or ``product`` where a lot is known.

    ``dose`` is the total; ``over`` the time it was spread over; ``rate`` or ``rate_ratio`` a real
    infusion rate; ``dose_normalized`` the dose per body size beside one in grams, where both are stated.
    """

    status: Literal["given", "partial", "not-given", "in-progress", "on-hold", "unknown"]
    status_reasons: tuple[Concept, ...] = ()
    cycle: Annotated[int, AtLeast(1)] | None = None
    day: Annotated[int, AtLeast(1)] | None = None
    when: Annotated[When, TIMES]
    dose: Annotated[Quantity, DOSE_UNITS] | None = None
    dose_normalized: Annotated[Quantity, Units(*PER_SIZE)] | None = None
    over: Duration | None = None
    rate: (
        Annotated[Quantity, Units("mL/h", "mL/min", "mL/kg/h", "mL/kg/min", "mg/kg/h", "mg/kg/min", "g/h", "mg/h")]
        | None
    ) = None
    rate_ratio: Ratio | None = None
    dose_text: Line | None = None
    route: Concept | None = None
    product: Annotated[Key, Ref("Product")] | None = None
    weight: Annotated[Key, Ref("Measurement")] | None = None
    part_of: Annotated[Key, Ref("CycleRecord")] | None = None

    def rules(self) -> Iterator[tuple[str, str]]:
        """What belongs together (mad-1, sqty-1) and what excludes each other."""
        if self.day is not None and self.cycle is None:
            yield "day", "a day needs its cycle"
        has_rate = self.rate is not None or self.rate_ratio is not None
        if self.dose is None and not has_rate:
            for name in ("dose_text", "route", "over", "dose_normalized"):
                if getattr(self, name) is not None:
                    yield name, "a dose or a rate beside it (FHIR mad-1)"
        if self.over is not None and (has_rate or self.dose is None):
            yield "over", "a dose beside it, and no rate"
        if self.rate is not None and self.rate_ratio is not None:
            yield "rate", "at most one of rate, rate_ratio"
        if self.rate_ratio is not None and self.rate_ratio.numerator == self.dose and _is_time(self.rate_ratio):
            yield "rate_ratio", "the dose spread over a time is `over`"
        if self.dose_normalized is not None and self.dose is not None and self.dose.unit in PER_SIZE:
            yield "dose_normalized", "a dose in g or mg beside it, not one per body size"
        for name in ("dose", "dose_normalized", "rate"):
            if (amount := getattr(self, name)) is not None and amount.value < 0:
                yield f"{name}/value", "0 or more: a dose is not negative"
        if self.rate_ratio is not None:
            yield from ((f"rate_ratio/{path}", expected) for path, expected in not_a_rate(self.rate_ratio))


def _is_time(ratio: Ratio) -> bool:
    return ratio.denominator.unit in ("min", "h", "d", "wk", "mo", "a") and ratio.denominator.comparator is None


class Rate(Row):
    """``rate[x]``: the dose for the time it was spread over, or a rate of its own."""

    fields = ("over", "rate", "rate_ratio")
    ratio = RatioCodec()

    def bind(self, known: Shapes) -> None:
        self.rate = quantity().bound(known["rate"])
        self.parts = (("rateRatio", "over", self.ratio), ("rateRatio", "rate_ratio", self.ratio))
        self.parts += (("rateQuantity", "rate", self.rate),)

    def write(self, item: Any, out: dict[str, Json], to: Any) -> None:
        if item.over is not None:
            out["rateRatio"] = self.ratio.write(spread_over(item.dose, item.over), to)
        elif item.rate_ratio is not None:
            out["rateRatio"] = self.ratio.write(item.rate_ratio, to)
        elif item.rate is not None:
            out["rateQuantity"] = self.rate.write(item.rate, to)

    def read(self, obj: dict[str, Json], by: Any, into: dict[str, Any]) -> None:
        try:
            if "rateQuantity" in obj and _is_duration(obj["rateQuantity"]) and "dose" in into:
                into["over"] = read_duration(obj["rateQuantity"])
                by.node.notes.append(("duration-as-rate", "A rate holds a time."))
            elif "rateQuantity" in obj:
                into["rate"] = self.rate.read(obj["rateQuantity"], by)
            elif "rateRatio" in obj:
                found: Ratio = self.ratio.read(obj["rateRatio"], by)
                if found.numerator == into.get("dose") and _is_time(found) and not found.denominator.value.is_signed():
                    into["over"] = Duration(found.denominator.value, found.denominator.unit)  # type: ignore[arg-type]
                else:
                    into["rate_ratio"] = found
        except Unread as error:
            _left(error.at("rateQuantity" if "rateQuantity" in obj else "rateRatio"), False, by)


def _is_duration(json: Json) -> bool:
    """R4's own example medadmin0305 has a time where the rate should be."""
    return isinstance(json, dict) and json.get("code") in tuple(TIME_UNITS) and json.get("system") == UCUM


def spread_over(dose: Quantity, time: Duration) -> Ratio:
    """The dose for the time: 2 g/kg for 2 d."""
    return Ratio(dose, Quantity(time.value, time.unit, _words(time)))


def _words(time: Duration) -> str:
    return str(time).partition(" ")[2]


CYCLE_RECORD = ResourceMap(
    CycleRecord,
    "Procedure",
    inside_extension(CYCLE, extension("number", "valuePositiveInt", plain(), "number")),
    at("status", word("cycle-status"), "status"),
    fixed("code", TERMS.cycle_of_therapy),
    subject(),
    when("performed"),
    profile="smx-cycle-procedure",
    title=lambda item: f"Cycle {item.number}: {item.status}",
)
ADMINISTRATION = ResourceMap(
    Administration,
    "MedicationAdministration",
    inside_extension(
        CYCLE,
        extension("number", "valuePositiveInt", plain(), "cycle"),
        extension("day", "valuePositiveInt", plain(), "day"),
    ),
    references("partOf", "part_of"),
    at("status", word("administration-status"), "status"),
    at("statusReason", concept(), "status_reasons"),
    derived("medicationCodeableConcept", lambda item, to: None if item.product else _drug(to)),
    at("medicationReference", reference(), "product"),
    subject(),
    owner("supportingInformation"),
    references("supportingInformation", "weight"),
    when("effective"),
    following("reasonReference", lambda item, to: _reasons(to)),
    inside(
        "dosage",
        extension(own("smx-normalized-dose"), "valueQuantity", quantity(), "dose_normalized"),
        at("text", plain(), "dose_text"),
        at("route", concept(), "route"),
        at("dose", quantity(), "dose"),
        Rate(),
    ),
    profile="smx-cycle-administration",
    known_by=("medicationCodeableConcept", DRUGS),
    title=lambda item: (
        f"Administration{f', cycle {item.cycle}' if item.cycle else ''}"
        f"{f', day {item.day}' if item.day else ''}: {item.status}"
    ),
)


def _drug(to: Any) -> Json:
    return concept().write(to.owner.code, to)


def _reasons(to: Any) -> list[str]:
    return [ref for key in to.owner.reasons for ref in to.references(key)]
