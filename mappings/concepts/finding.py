"""A sign, a symptom or a microscopic finding: present, absent, or not known. There is no default.

R4 gives an Observation one body site, so a finding at four sites is four Observations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from mappings.choices import value, when, word_value
from mappings.codec import Unread, coded, concept, has_code, own, pairs, plain, reference
from mappings.many import references, spread, unused
from mappings.report import Json
from mappings.resource import ResourceMap, known, members, subject
from mappings.rows import Element, Row, at, component, extension, listed, own_code
from mappings.terms import TERMS
from mappings.values import Concept, Forms, Key, Line, Observed, Presence, Ref, ValueOrAbsent, When

TIMES = Forms("at", "period", "relative", "encounter", "absent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What a finding is like: its colour, surface, arrangement, size."""

    code: Concept
    value: Annotated[ValueOrAbsent, Forms("quantity", "concept", "text", "range", "absent")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding(Observed):
    """A finding; ``causes`` are the keys of what the source says brought it about."""

    code: Concept
    presence: Presence
    category: Literal["exam", "survey", "laboratory"] | None = None
    sites: tuple[Concept, ...] = ()
    severity: Line | None = None
    qualities: tuple[Quality, ...] = ()
    when: Annotated[When, TIMES] | None = None
    specimen: Annotated[Key, Ref("Specimen")] | None = None
    causes: tuple[Annotated[Key, Ref("Finding", "Condition")], ...] = ()
    figures: tuple[Annotated[Key, Ref("Figure")], ...] = ()

    def rules(self) -> Iterator[tuple[str, str]]:
        """The severity is no quality: both are components, told apart by code; neither is the finding (obs-7)."""
        yield from own_code(self, self.code, severity=TERMS.severity)
        mine = {(coding.system, coding.code) for coding in self.code.codings}
        for index, quality in enumerate(self.qualities):
            codes = {(coding.system, coding.code) for coding in quality.code.codings}
            if codes & TERMS.severity.pairs:
                yield f"qualities/{index}/code", "another code: the severity has a field of its own"
            if codes & mine:
                yield f"qualities/{index}/code", "another code than that of the finding (FHIR obs-7)"


QUALITY = Element(Quality, at("code", concept(), "code"), value("value"))


def _is_quality(json: dict[str, Json]) -> bool:
    return not has_code(json.get("code"), TERMS.severity.pairs)


#: Findings that other systems' resources are recognised by.
KNOWN = tuple(
    TERMS[name]
    for name in (
        "thickened-skin", "skin-induration", "hyperpigmentation", "papular-eruption", "yellow-papules",
        "reduced-joint-mobility", "joint-stiffness", "microstomia", "absent-axillary-hair", "sclerodactyly", "myalgia",
        "fever", "lethargy", "malaise", "signs-of-depression", "depressed-mood",
    )
)  # fmt: skip
_OVER = TERMS.clinical_resolved.pairs | TERMS.clinical_inactive.pairs | TERMS.clinical_remission.pairs


class StillThere(Row):
    """A sign kept as a Condition that is over is not present: it is not read."""

    def read(self, obj: dict[str, Json], by: Any, into: dict[str, Any]) -> None:
        over = ["clinicalStatus"] if has_code(obj.get("clinicalStatus"), _OVER) else []
        for name in [*over, *(name for name in obj if name.startswith("abatement"))]:
            raise Unread("modifier", "The sign is over; it is not read as present.").at(name)


def _presence(obj: dict[str, Json]) -> bool | None:
    value = known(obj, "valueCodeableConcept")
    return None if not value & (TERMS.present.pairs | TERMS.absent.pairs) else bool(value & TERMS.present.pairs)


class NotContradicted(Row):
    """An interpretation that says the opposite of the resource leaves neither: it is not read.

    ``is_there`` gives whether the resource says that something is there; None where it says neither.
    """

    def __init__(self, is_there: Callable[[dict[str, Json]], bool | None] = _presence) -> None:
        self.is_there = is_there

    def read(self, obj: dict[str, Json], by: Any, into: dict[str, Any]) -> None:
        if any(self._untrue(obj, one) for one in members(obj, "interpretation")):
            raise Unread("modifier", "The interpretation and what it interprets do not agree.").at("interpretation")

    def settle(self, resource: dict[str, Json], dropped: Callable[[str, Json], None]) -> None:
        listed = resource.get("interpretation")
        for index, one in enumerate(listed if isinstance(listed, list) else ()):
            if isinstance(one, dict) and self._untrue(resource, one):
                dropped(f"/interpretation/{index}", one)
                resource["interpretation"] = [other for other in resource["interpretation"] if other is not one]
        if resource.get("interpretation") == []:
            del resource["interpretation"]

    def _untrue(self, obj: dict[str, Json], interpretation: Json) -> bool:
        """Whether one interpretation says the opposite."""
        there = self.is_there(obj)
        opposite = TERMS.absent if there else TERMS.present
        return there is not None and not opposite.pairs.isdisjoint(pairs(interpretation.get("coding")))


FINDING = ResourceMap(
    Finding,
    "Observation",
    extension(own("smx-cause"), "valueReference", reference(), "causes"),
    at("category[0]", coded("observation-category"), "category"),
    at("code", concept(), "code"),
    subject(),
    when("effective", encounter=True),
    word_value("presence", "presence"),
    NotContradicted(),
    spread("bodySite", concept(), "sites"),
    at("specimen", reference(), "specimen"),
    references("derivedFrom", "figures"),
    component(TERMS.severity, at("valueString", plain(), "severity")),
    listed("component", QUALITY, "qualities", _is_quality),
    profile="smx-clinical-finding",
    title=lambda item: f"Finding: {item.code.label}, {item.presence}",
    known_by=("code", KNOWN),
)
FINDING_AS_CONDITION = ResourceMap(
    Finding,
    "Condition",
    StillThere(),
    at("verificationStatus", coded("presence-verification"), "presence"),
    at("code", concept(), "code"),
    at("bodySite", concept(), "sites"),
    subject(),
    when("onset", encounter=True),
    unused("record_status", "category", "severity", "qualities", "specimen", "causes", "figures"),
    profile="smx-finding-condition",
    title=lambda item: f"Finding: {item.code.label}, {item.presence}",
    known_by=("code", KNOWN),
    alternate=True,
)
