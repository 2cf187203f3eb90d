"""Reports by others, as a table of the source lists them: no Patient is invented for their patients.

One row is a Group of so many persons; what is said of them hangs on the Group.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from mappings.choices import word_value
from mappings.codec import Simple, Unread, coded, concept, dar_extension, has_code, plain, term_json
from mappings.concepts.condition import EXTENT, Extent
from mappings.concepts.disease_status import Response
from mappings.concepts.document import is_foreign, language
from mappings.concepts.dose import DOSE, Dose
from mappings.many import each, owner, references, unused
from mappings.report import Json
from mappings.resource import ResourceMap, choose
from mappings.rows import InList, Row, also, at, constant, derived, inside, listed
from mappings.terms import BASE, TERMS, Term
from mappings.values import AtLeast, Concept, Item, Key, Line, Noted, Observed, Ref

NUMBER = f"{BASE}/sid/reference-number"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiteratureCondition(Noted):
    """What the patients of a report had, as the report puts it."""

    code: Concept
    extent: tuple[Extent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LiteratureTherapy(Noted):
    """A therapy of a report: the regimen it is about, a combination, or one before."""

    kind: Literal["drug", "procedure"]
    role: Literal["regimen", "combination", "prior"]
    code: Concept
    doses: tuple[Dose, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LiteratureResponse(Observed):
    """What became of the patients of a report in one domain, under one therapy."""

    domain: Concept
    result: Response
    text: Line | None = None
    therapy: Annotated[Key, Ref("LiteratureTherapy")] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference(Item):
    """The reference of a row: its number in the source, and its label."""

    number: Annotated[int, AtLeast(1)] | None = None
    label: Line


@dataclass(frozen=True, slots=True, kw_only=True)
class LiteratureRow(Item):
    """One report; ``combination_none`` is what a dash in the table says, and rests on inference."""

    label: Line
    patients: Annotated[int, AtLeast(1)]
    protocol: Literal["full-dose", "low-dose", "other"] | None = None
    combination_none: Literal[True] | None = None
    conditions: tuple[LiteratureCondition, ...] = ()
    therapies: tuple[LiteratureTherapy, ...] = ()
    responses: tuple[LiteratureResponse, ...] = ()
    reference: Reference | None = None

    def rules(self) -> Iterator[tuple[str, str]]:
        """No combination goes with none listed."""
        if self.combination_none and any(t.role == "combination" for t in self.therapies):
            yield "combination_none", "not given, since a combination is listed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Literature(Noted):
    """A table of reports, in print order."""

    title: Line
    rows: tuple[LiteratureRow, ...] = ()


LITERATURE_CONDITION = ResourceMap(
    LiteratureCondition,
    "Condition",
    at("code", concept(), "code"),
    owner("subject", many=False),
    at("stage", EXTENT, "extent"),
    profile="smx-literature-condition",
    title=lambda item: f"Reported diagnosis: {item.code.label}",
)


def _therapy(kind: str, type_: str, code: str, status: Term, *more: Row) -> ResourceMap:
    return ResourceMap(
        LiteratureTherapy,
        type_,
        constant("status", status),
        at("category", coded("literature-role"), "role"),
        at(code, concept(), "code"),
        owner("subject", many=False),
        *more,
        profile=f"smx-literature-{kind}",
        title=lambda item: f"Reported therapy: {item.code.label}",
        only=("kind", kind),
    )


LITERATURE_THERAPY = choose(
    "kind",
    _therapy("drug", "MedicationStatement", "medicationCodeableConcept", TERMS.ms_unknown, at("dosage", DOSE, "doses")),
    _therapy("procedure", "Procedure", "code", TERMS.proc_unknown, unused("doses")),
)
LITERATURE_RESPONSE = ResourceMap(
    LiteratureResponse,
    "Observation",
    at("code", concept(), "domain"),
    owner("subject", many=False),
    references("focus", "therapy"),
    derived("_effectiveDateTime", {"extension": [dar_extension("unknown")]}),
    word_value("response", "result", text="text"),
    profile="smx-literature-response",
    title=lambda item: f"Reported response, {item.domain.label}: {item.text or item.result}",
)
_NUMBER = Simple(int, lambda number: {"system": NUMBER, "value": str(number)}, lambda json: _number(json.get("value")))


def _number(value: Json) -> int:
    if not isinstance(value, str) or not value.isascii() or not value.isdigit():
        raise Unread("bad-value", "The reference number is no number.", "digits").at("value")
    return int(value)


REFERENCE = ResourceMap(
    Reference,
    "DocumentReference",
    listed("identifier", _NUMBER, "number", lambda json: is_foreign(json) and json.get("system") == NUMBER),
    constant("status", TERMS.document_current),
    owner("subject", many=False),
    inside("content[0].attachment", derived("language", language), at("title", plain(), "label")),
    profile="smx-reference",
    title=lambda item: f"Reference: {item.label}",
)


def characteristic(term: Term, *rows: Row) -> Row:
    """Rows within the characteristic of a Group; one that excludes would say the opposite."""

    def is_it(json: Json) -> bool:
        mine = has_code(json.get("code"), term.pairs)
        if mine and json.get("exclude") is not False:
            raise Unread("modifier", "A characteristic that excludes is not understood.", "exclude false").at("exclude")
        return mine

    return InList("characteristic", lambda: {"code": term_json(term), "exclude": False}, is_it, rows)


class Actual(Row):
    """A Group that only describes persons has no patients: it is not read."""

    def read(self, obj: dict[str, Json], by: Any, into: dict[str, Any]) -> None:
        if obj.get("actual") is not True:
            raise Unread("modifier", "The Group is not of actual persons.", "actual true").at("actual")


def _none(json: Json) -> bool:
    if json is not False:
        raise Unread("bad-value", "A combination is said to be there, but not which.", "false")
    return True


_NONE = Simple(bool, lambda _: False, _none)
LITERATURE_ROW = ResourceMap(
    LiteratureRow,
    "Group",
    constant("type", TERMS.group_person),
    derived("actual", True),
    Actual(),
    also("code", TERMS.literature_report),
    at("name", plain(), "label"),
    at("quantity", plain(), "patients"),
    characteristic(TERMS.ivig_protocol, at("valueCodeableConcept", coded("protocol"), "protocol")),
    characteristic(TERMS.combination_therapy, at("valueBoolean", _NONE, "combination_none")),
    each("conditions", LITERATURE_CONDITION),
    each("therapies", LITERATURE_THERAPY),
    each("responses", LITERATURE_RESPONSE),
    each("reference", REFERENCE),
    profile="smx-literature-group",
    title=lambda item: f"Report: {item.label}, {item.patients} patient{'s' if item.patients > 1 else ''}",
)
LITERATURE = ResourceMap(
    Literature,
    "List",
    constant("status", TERMS.list_current),
    constant("mode", TERMS.list_mode_snapshot),
    at("title", plain(), "title"),
    also("code", TERMS.literature_list),
    also("orderedBy", TERMS.list_order_user),
    each("rows", LITERATURE_ROW, forward="entry.item"),
    profile="smx-literature-list",
    title=lambda item: item.title,
)
