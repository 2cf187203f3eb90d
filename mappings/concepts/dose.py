"""A line of a regimen: how much, how often, for how long, by which way (FHIR Dosage)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from mappings.codec import RangeCodec, RatioCodec, Unread, coded, concept, duration, number, plain, quantity
from mappings.report import Json
from mappings.rows import Element, Row, Shapes, _left, at, inside
from mappings.values import TIME_UNITS, AtLeast, Concept, Duration, Line, Quantity, Range, Ratio, Units

PER_SIZE = ("g/kg", "mg/kg", "ug/kg", "mg/m2", "g/m2")
DOSE_UNITS = Units(*PER_SIZE, "g", "mg", "ug", "mL", "[IU]", "J/cm2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dose:
    """One line, in its order.

    ``amount`` is what is given each time; ``per_time`` a daily dose that claims no times of day;
    ``spread_over`` the time one dose takes; ``frequency`` times in each ``period``; ``count`` how
    often in all; ``for_`` how long the line holds.
    """

    sequence: Annotated[int, AtLeast(1)]
    text: Line | None = None
    amount: Annotated[Quantity, DOSE_UNITS] | None = None
    amount_range: Annotated[Range, DOSE_UNITS] | None = None
    kind: Literal["ordered", "calculated"] | None = None
    per_time: Ratio | None = None
    spread_over: Duration | None = None
    frequency: Annotated[int, AtLeast(1)] | None = None
    period: Duration | None = None
    count: Annotated[int, AtLeast(1)] | None = None
    for_: Duration | None = None
    route: Concept | None = None
    method: Concept | None = None

    def rules(self) -> Iterator[tuple[str, str]]:
        """What excludes each other, and what FHIR wants together."""
        if self.amount is not None and self.amount_range is not None:
            yield "amount", "at most one of amount, amount_range"
        if self.per_time is not None and self.spread_over is not None:
            yield "per_time", "at most one of per_time, spread_over"
        if self.frequency is not None and self.period is None:
            yield "frequency", "a frequency needs its period"
        if self.kind is not None and not (self.amount or self.amount_range or self.per_time):
            yield "kind", "needs an amount, an amount_range or a per_time"
        low = self.amount_range.low if self.amount_range else None
        for path, amount in (("amount", self.amount), ("amount_range/low", low)):
            if amount is not None and amount.value < 0:
                yield f"{path}/value", "0 or more: a dose is not negative"
        if self.per_time is not None:
            yield from ((f"per_time/{path}", expected) for path, expected in not_a_rate(self.per_time))


def not_a_rate(ratio: Ratio) -> Iterator[tuple[str, str]]:
    """What keeps a ratio from being a dose, not negative, for a time."""
    if ratio.numerator.unit not in DOSE_UNITS.codes:
        yield "numerator/unit", f"UCUM {' or '.join(DOSE_UNITS.codes)}"
    if ratio.numerator.value < 0:
        yield "numerator/value", "0 or more: a dose is not negative"
    if ratio.denominator.unit not in TIME_UNITS:
        yield "denominator/unit", f"UCUM {' or '.join(TIME_UNITS)}"
    if ratio.denominator.value <= 0:
        yield "denominator/value", "more than 0"


class Timed(Row):
    """A Duration in two members of Timing.repeat: the number and its unit."""

    def __init__(self, name: str, field: str) -> None:
        self.name, self.field, self.fields = name, field, (field,)
        self.parts = ((name, field, None), (f"{name}Unit", field, None))

    def bind(self, known: Shapes) -> None:
        duration().bound(known[self.field])

    def write(self, item: Any, out: dict[str, Json], to: Any) -> None:
        value = getattr(item, self.field)
        out[self.name], out[f"{self.name}Unit"] = value.value, value.unit

    def read(self, obj: dict[str, Json], by: Any, into: dict[str, Any]) -> None:
        unit = obj.get(f"{self.name}Unit")
        if self.name not in obj:
            return
        try:
            if type(unit) is not str or unit not in TIME_UNITS:
                raise Unread("wrong-unit", "The unit of time is another one.", f"one of {', '.join(TIME_UNITS)}")
            into[self.field] = Duration(number(obj[self.name]), unit)  # type: ignore[arg-type]
        except (Unread, ValueError) as error:
            fault = error if isinstance(error, Unread) else Unread("bad-value", str(error))
            by.unread(fault.at(self.name))


class NoRange(Row):
    """With a Max beside it a number is the low end of a range, for which a line has no room: neither is read."""

    #: The Max; the elements of the range, how often being a frequency and its period together; their fields.
    ranges = (
        ("countMax", ("count",), ("count",)),
        ("durationMax", ("duration", "durationUnit"), ("spread_over",)),
        ("frequencyMax", ("frequency", "period", "periodUnit"), ("frequency", "period")),
        ("periodMax", ("frequency", "period", "periodUnit"), ("frequency", "period")),
    )

    def read(self, obj: dict[str, Json], by: Any, into: dict[str, Any]) -> None:
        for most, names, fields in self.ranges:
            if most in obj:
                for field in fields:
                    into.pop(field, None)
                for name in (most, *names):
                    by.unread(Unread("range", "With its Max a number is the least of a range.", "one number").at(name))


class DoseRate(Row):
    """``doseAndRate.rateRatio``: a dose per time; or, following from the line, the amount for `spread_over`."""

    fields = ("per_time",)
    ratio = RatioCodec()
    parts = (("rateRatio", "per_time", ratio),)

    def write(self, item: Any, out: dict[str, Json], to: Any) -> None:
        if item.per_time is not None:
            out["rateRatio"] = self.ratio.write(item.per_time, to)
        elif item.spread_over is not None and item.amount is not None:
            time = Quantity(item.spread_over.value, item.spread_over.unit, TIME_UNITS[item.spread_over.unit])
            out["rateRatio"] = self.ratio.write(Ratio(item.amount, time), to)

    def read(self, obj: dict[str, Json], by: Any, into: dict[str, Any]) -> None:
        if "rateRatio" not in obj or "spread_over" in into:
            return
        try:
            into["per_time"] = self.ratio.read(obj["rateRatio"], by)
        except Unread as error:
            _left(error.at("rateRatio"), False, by)


class Amount(Row):
    """``dose[x]``: a quantity or a range."""

    fields = ("amount", "amount_range")

    def bind(self, known: Shapes) -> None:
        self.one, self.range = quantity().bound(known["amount"]), RangeCodec().bound(known["amount_range"])
        self.parts = (("doseQuantity", "amount", self.one), ("doseRange", "amount_range", self.range))

    def write(self, item: Any, out: dict[str, Json], to: Any) -> None:
        if item.amount is not None:
            out["doseQuantity"] = self.one.write(item.amount, to)
        elif item.amount_range is not None:
            out["doseRange"] = self.range.write(item.amount_range, to)

    def read(self, obj: dict[str, Json], by: Any, into: dict[str, Any]) -> None:
        for name, field, codec in (("doseQuantity", "amount", self.one), ("doseRange", "amount_range", self.range)):
            if name in obj:
                try:
                    into[field] = codec.read(obj[name], by)
                except Unread as error:
                    _left(error.at(name), False, by)


DOSE = Element(
    Dose,
    at("sequence", plain(), "sequence"),
    at("text", plain(), "text"),
    inside(
        "timing.repeat",
        at("boundsDuration", duration(), "for_"),
        at("count", plain(), "count"),
        Timed("duration", "spread_over"),
        at("frequency", plain(), "frequency"),
        Timed("period", "period"),
        NoRange(),
    ),
    at("route", concept(), "route"),
    at("method", concept(), "method"),
    inside("doseAndRate[0]", at("type", coded("dose-kind"), "kind"), Amount(), DoseRate()),
)
