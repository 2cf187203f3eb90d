"""The patient: pseudonym, sex, ethnicity, birth date or its absence, and age where it is stated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from mappings.choices import only_moment, when
from mappings.codec import Codec, Unread, concept, own, plain, quantity, word
from mappings.report import Json
from mappings.resource import CASE_ITEM, ResourceMap, members
from mappings.rows import Element, Row, Shapes, at, each, embed, extension, flag, owner
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


class Identifiers(Row):
    """The patient's identifiers, one row a kind: the pseudonym by its mark, all others beside it."""

    def __init__(self, field: str, element: Element) -> None:
        self.field, self.fields, self.element = field, (field,), element

    def bind(self, known: Shapes) -> None:
        self.many = known[self.field].many
        self.codec: Codec = self.element.bound(known[self.field])

    def write(self, item: Any, out: dict[str, Json], to: Any) -> None:
        value = getattr(item, self.field)
        for one in value if self.many else filter(None, [value]):
            out.setdefault("identifier", []).append(self.codec.write(one, to))

    def read(self, obj: dict[str, Json], by: Any, into: dict[str, Any]) -> None:
        found = []
        listed = obj.get("identifier")
        for index, json in enumerate(listed if isinstance(listed, list) else ()):
            marks = {mark.get("url") for mark in members(json, "extension")}
            if CASE_ITEM in marks or (PSEUDONYM_KIND in marks) == self.many:
                continue
            try:
                found.append(self.codec.read(json, by))
            except Unread as error:
                by.unread(error.at("identifier", index))
        if found:
            into[self.field] = tuple(found) if self.many else found[0]


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
    known_by=("code", TERMS.age.pairs | TERMS.age_calculated.pairs),
)
PATIENT = ResourceMap(
    Patient,
    "Patient",
    extension(own("smx-ethnicity"), "valueCodeableConcept", concept(), "ethnicity"),
    Identifiers("pseudonym", PSEUDONYM),
    Identifiers("identifiers", IDENTIFIER),
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
