"""A measurement: skin thickness, mouth opening, weight, height, skin score, or another by its code.

A new kind of measurement is one row of `KINDS`. No number is ever computed: a change is written
where the source gives it, a trend where it gives only that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple

from mappings.choices import value, when
from mappings.codec import coded, concept, number_in, quantity, reference, term_json
from mappings.many import references, unused
from mappings.report import Json
from mappings.resource import ResourceMap, choose, subject
from mappings.rows import Row, also, at, component, derived, fixed, own_code
from mappings.terms import TERMS, WORDS, Term
from mappings.values import Concept, Forms, Key, Observed, Quantity, Ref, Units, ValueOrAbsent, When

CHANGE_UNITS = Units("mm", "um", "cm", "kg", "g", "{score}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement(Observed):
    """A figure, or why there is none; ``baseline`` is the key of the measurement it is compared with."""

    kind: Literal["skin-thickness", "mouth-opening", "body-weight", "body-height", "skin-score", "other"]
    code: Concept | None = None
    value: Annotated[ValueOrAbsent, Forms("quantity", "integer", "range", "text", "absent")]
    site: Concept | None = None
    layer: Literal["epidermis", "dermis", "epidermis-dermis"] | None = None
    method: Concept | None = None
    device: Annotated[Key, Ref("Device")] | None = None
    when: Annotated[When, Forms("at", "period", "relative", "encounter", "absent")] | None = None
    course: Annotated[Key, Ref("Therapy")] | None = None
    baseline: Annotated[Key, Ref("Measurement")] | None = None
    percent_change: Decimal | None = None
    absolute_change: Annotated[Quantity, CHANGE_UNITS] | None = None
    trend: Literal["decreased", "increased", "unchanged", "better", "worse"] | None = None
    figures: tuple[Annotated[Key, Ref("Figure")], ...] = ()

    def rules(self) -> Iterator[tuple[str, str]]:
        """Units and signs by kind; the vital-signs profile wants a time; a baseline is another measurement."""
        kind = KINDS[self.kind]
        if (self.code is None) == (kind.term is None):
            yield "code", "kind other needs a code, every other kind brings its own"
        for path, amount in _quantities(self.value):
            if kind.units and amount.unit not in kind.units:
                yield f"value/{path}/unit", f"UCUM {' or '.join(kind.units)} for {self.kind}"
            if kind.units and amount.value < 0:
                yield f"value/{path}/value", f"0 or more: {self.kind} is not negative"
        if kind.units and self.kind != "skin-score" and self.value.integer is not None:
            yield "value/integer", f"a quantity in {' or '.join(kind.units)}: a bare number has no unit"
        if self.kind == "skin-score" and (self.value.integer or 0) < 0:
            yield "value/integer", "0 or more: skin-score is not negative"
        if kind.vital:
            yield from self._vital_rules()
        if self.code is not None and self.value.absent is None:
            yield from own_code(self, self.code, **PARTS)
        if self.baseline == self.key:
            yield "baseline", "the key of another measurement"

    def _vital_rules(self) -> Iterator[tuple[str, str]]:
        """What the vital-signs profiles want, which the LOINC code pulls in: a day, a Quantity, no other component."""
        if self.when is None:
            yield "when", f"{self.kind} needs a time, or when.absent (FHIR vital-signs profile)"
        elif self.when.period is not None or (self.when.at and len(self.when.at) < 10):
            yield "when", f"a day for {self.kind}; tell a less exact time as absent, as-text, with its text (FHIR vs-1)"
        if self.value.quantity is None and self.value.absent is None:
            yield "value", f"a quantity or absent for {self.kind} (FHIR vital-signs profile)"
        for name in PARTS:
            if getattr(self, name) is not None:
                yield name, f"nothing: {self.kind} has no such component (FHIR vital-signs profile)"


def _quantities(measured: ValueOrAbsent) -> Iterator[tuple[str, Quantity]]:
    """Where each quantity of the value stands, and the quantity."""
    low, high = (measured.range.low, measured.range.high) if measured.range else (None, None)
    found = (("quantity", measured.quantity), ("range/low", low), ("range/high", high))
    yield from ((path, amount) for path, amount in found if amount is not None)


class Kind(NamedTuple):
    """One kind of measurement: its code, category, units (none: any), profile; ``known``: codes it is also known by."""

    term: Term | None
    category: Term | None
    units: tuple[str, ...]
    profile: str
    vital: bool = False
    known: tuple[Term, ...] = ()


#: Amounts of M-protein that belong to no clone, since nothing tells of which chains it is.
UNASSIGNED = tuple(TERMS[f"m-protein-{name}"] for name in ("total", "band-1", "band-2", "band-3", "share"))

KINDS = {
    "skin-thickness": Kind(TERMS.skin_thickness_hfus, TERMS.imaging, ("mm", "um"), "smx-skin-thickness"),
    "mouth-opening": Kind(TERMS.mouth_opening, TERMS.exam, ("mm", "cm"), "smx-mouth-opening"),
    "body-weight": Kind(TERMS.body_weight, TERMS.vital_signs, ("kg", "g"), "smx-body-weight", vital=True),
    "body-height": Kind(TERMS.body_height, TERMS.vital_signs, ("cm",), "smx-body-height", vital=True),
    "skin-score": Kind(TERMS.skin_score, TERMS.exam, ("{score}",), "smx-skin-score"),
    "other": Kind(None, None, (), "smx-measurement", known=UNASSIGNED),
}

#: The fields that are components, and their codes.
PARTS = {
    "layer": TERMS.skin_layer,
    "trend": TERMS.trend,
    "percent_change": TERMS.percent_change_from_baseline,
    "absolute_change": TERMS.absolute_change_from_baseline,
}


def _table(name: str, kind: Kind) -> ResourceMap:
    """The table of one kind."""
    what: tuple[Row, ...] = (at("code", concept(), "code"),)
    if kind.term is not None:
        what = (fixed("code", kind.term), unused("code"))
    if kind.category is not None:
        what = (also("category[0]", kind.category), *what)
    return ResourceMap(
        Measurement,
        "Observation",
        references("partOf", "course"),
        *what,
        subject(),
        when("effective", encounter=True),
        value("value", units=kind.units),
        derived("interpretation", _interpretation),
        at("bodySite", concept(), "site"),
        at("method", concept(), "method"),
        at("device", reference(), "device"),
        references("derivedFrom", "baseline"),
        references("derivedFrom", "figures"),
        component(PARTS["trend"], at("valueCodeableConcept", coded("trend"), "trend")),
        component(PARTS["layer"], at("valueCodeableConcept", coded("layer"), "layer")),
        component(PARTS["percent_change"], at("valueQuantity", number_in("%", "percent"), "percent_change")),
        component(PARTS["absolute_change"], at("valueQuantity", quantity(), "absolute_change")),
        profile=kind.profile,
        title=lambda item: f"{(kind.term.display if kind.term else item.code.label)}: {item.value}",
        known_by=("code", kind.known if kind.term is None else (kind.term,)),
        only=("kind", name),
    )


def _interpretation(item: Any, to: Any) -> Json:
    """R4's own word for a trend, where it has one that claims no more: its "down" and "up" are significant."""
    return [term_json(WORDS["trend"][item.trend])] if item.trend in ("better", "worse") else None


MEASUREMENT = choose("kind", *(_table(name, kind) for name, kind in KINDS.items()))
