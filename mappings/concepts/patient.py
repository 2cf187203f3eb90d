"""The patient: pseudonym, sex, ethnicity, birth date or its absence, and age where it is stated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from mappings.choices import only_moment, when
from mappings.codec import concept, own, plain, quantity, word
from mappings.many import each, owner
from mappings.report import Json
from mappings.resource import CASE_ITEM, ResourceMap, members
from mappings.rows import Element, at, embed, extension, flag, listed
from mappings.terms import TERMS
from mappings.values import Concept, Forms, Line, Moment, Observed, Quantity, Source, Units, Uri, When

PSEUDONYM_KIND = own("smx-pseudonym-kind")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pseudonym:
    """The name that stands for the patient's own: `anonymized` (no way back) or `pseudonymized` (a key exists)."""

    value: Line
    kind: Literal["anonymized", "pseudonymized"]
    system: Uri


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifier:
    """An identifier that another system gave the patient."""

    value: Line
    system: Uri | None = None
    type: Concept | None = None
    use: Literal["usual", "official", "temp", "secondary"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deceased:
    """Whether, or when, the patient died: exactly one of the two."""

    value: bool | None = None
    at: Moment | None = None

    def __post_init__(self) -> None:
        if (self.value is None) == (self.at is None):
            raise ValueError("exactly one of value, at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Age(Observed):
    """An age as the source states it; ``calculated`` where somebody computed it from a birth date."""

    age: Annotated[Quantity, Units("a", "mo", "wk", "d")]
    when: Annotated[When, Forms("at", "period", "relative", "encounter", "absent")]
    calculated: Literal[True] | None = None

    def rules(self) -> Iterator[tuple[str, str]]:
        """An age is positive (FHIR age-1)."""
        if self.age.value <= 0:
            yield "age", "an age is more than 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """Who the case is about. What is not stated is left out: no birth date is made from an age."""

    pseudonym: Pseudonym | None = None
    identifiers: tuple[Identifier, ...] = ()
    sex: Literal["male", "female", "other", "unknown"] | None = None
    birth_date: Annotated[When, Forms("at", "absent")] | None = None
    deceased: Deceased | None = None
    ethnicity: tuple[Concept, ...] = ()
    source: Source | None = None
    ages: tuple[Age, ...] = ()

    def rules(self) -> Iterator[tuple[str, str]]:
        """A birth date is a day, a month or a year (FHIR date)."""
        if self.birth_date is not None and "T" in (self.birth_date.at or ""):
            yield "birth_date/at", "a date without a time of day"


def _marks(json: dict[str, Json]) -> list[Json]:
    return [mark.get("url") for mark in members(json, "extension")]


PSEUDONYM = Element(
    Pseudonym,
    extension(PSEUDONYM_KIND, "valueCode", word("pseudonym-kind"), "kind"),
    at("system", plain(), "system"),
    at("value", plain(), "value"),
)
IDENTIFIER = Element(
    Identifier,
    at("use", word("identifier-use"), "use"),
    at("type", concept(), "type"),
    at("system", plain(), "system"),
    at("value", plain(), "value"),
)
AGE = ResourceMap(
    Age,
    "Observation",
    flag("code", "calculated", on=TERMS.age_calculated, off=TERMS.age),
    owner("subject", many=False),
    when("effective", encounter=True),
    at("valueQuantity", quantity(), "age"),
    profile="smx-age",
    title=lambda item: f"Age {item.age}",
    known_by=("code", (TERMS.age, TERMS.age_calculated)),
)
PATIENT = ResourceMap(
    Patient,
    "Patient",
    extension(own("smx-ethnicity"), "valueCodeableConcept", concept(), "ethnicity"),
    listed("identifier", PSEUDONYM, "pseudonym", lambda json: PSEUDONYM_KIND in _marks(json)),
    listed(
        "identifier",
        IDENTIFIER,
        "identifiers",
        lambda json: json.get("use") != "old" and not any(u in _marks(json) for u in (PSEUDONYM_KIND, CASE_ITEM)),
    ),
    at("gender", word("sex"), "sex"),
    only_moment("birthDate", "birth_date"),
    embed(
        Element(Deceased, at("deceasedBoolean", plain(), "value"), at("deceasedDateTime", plain(), "at")), "deceased"
    ),
    each("ages", AGE),
    profile="smx-patient",
    title=lambda item: f"Patient{f', {item.sex}' if item.sex else ''}",
    key="patient",
)
