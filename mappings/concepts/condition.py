"""A diagnosis: the mucinosis, the gammopathy, what is associated, what is besides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from mappings.choices import onset
from mappings.codec import Codec, ReferenceCodec, Unread, coded, concept, no_modifier, reference
from mappings.report import Json
from mappings.resource import ResourceMap, choose, subject
from mappings.rows import Element, at, extension
from mappings.shape import Shape
from mappings.terms import TERMS, Term
from mappings.values import Concept, Forms, Key, Noted, Ref, When

RELATED = "http://hl7.org/fhir/StructureDefinition/condition-related"
DUE_TO = "http://hl7.org/fhir/StructureDefinition/condition-dueTo"
ONSET = Forms("at", "period", "relative", "age", "absent")
INACTIVE = ("inactive", "remission", "resolved")

EVIDENCE = ("Finding", "MonoclonalProtein", "DiagnosticReport", "Measurement", "Criteria", "SystemReview")

ConditionKey = Annotated[Key, Ref("Condition")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How far the disease reaches, such as skin-restricted (FHIR Condition.stage)."""

    summary: Concept
    type: Concept | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition(Noted):
    """A diagnosis. ``related`` claims no cause, ``due_to`` does; ``evidence`` are keys of other items."""

    role: Literal["mucinosis", "gammopathy", "associated", "comorbidity"]
    code: Concept
    clinical_status: Literal["active", "recurrence", "relapse", "inactive", "remission", "resolved"] | None = None
    verification_status: Literal["unconfirmed", "provisional", "differential", "confirmed", "refuted"]
    categories: tuple[Literal["problem-list-item", "encounter-diagnosis"], ...] = ()
    severity: Concept | None = None
    body_sites: tuple[Concept, ...] = ()
    encounter: Annotated[Key, Ref("Encounter")] | None = None
    onset: Annotated[When, ONSET] | None = None
    abatement: Annotated[When, ONSET] | None = None
    extent: tuple[Extent, ...] = ()
    related: tuple[ConditionKey, ...] = ()
    due_to: tuple[ConditionKey, ...] = ()
    evidence: tuple[Annotated[Key, Ref(*EVIDENCE)], ...] = ()

    def rules(self) -> Iterator[tuple[str, str]]:
        """FHIR con-3 and con-4, and no diagnosis is its own cause."""
        if self.clinical_status is None and self.verification_status != "refuted":
            yield "clinical_status", "a diagnosis that is not refuted has a clinical status"
        if self.abatement is not None and self.clinical_status not in INACTIVE:
            yield "clinical_status", f"a diagnosis that abated is {', '.join(INACTIVE)}"
        for name in ("related", "due_to", "evidence"):
            if self.key in getattr(self, name):
                yield name, "the key of another item"


class Detail(Codec):
    """A key <-> one ``Condition.evidence`` whose details are the resources of that item."""

    yields: type = str

    def __init__(self, inner: Codec | None = None) -> None:
        self.inner = inner

    def bound(self, shape: Shape) -> Codec:
        return Detail(ReferenceCodec().bound(shape))

    def write(self, value: Any, to: Any) -> Json:
        return {"detail": [{"reference": ref} for ref in to.references(value)]}

    def read(self, json: Json, by: Any) -> Any:
        no_modifier(json)
        details = json.get("detail") if isinstance(json, dict) else None
        for detail in details if isinstance(details, list) else ():
            try:
                assert self.inner is not None
                return self.inner.read(detail, by)
            except Unread:
                continue
        raise Unread("unresolved-reference", "No detail leads to an item of the case.").at("detail")


def _table(role: str, profile: str, known: tuple[Term, ...] = ()) -> ResourceMap:
    """The table of one role: the roles differ in profile and in the codes they are known by."""
    return ResourceMap(
        Condition,
        "Condition",
        extension(RELATED, "valueReference", reference(), "related"),
        extension(DUE_TO, "valueReference", reference(), "due_to"),
        at("clinicalStatus", coded("clinical-status"), "clinical_status"),
        at("verificationStatus", coded("verification-status"), "verification_status"),
        at("category", coded("condition-category"), "categories"),
        at("severity", concept(), "severity"),
        at("code", concept(), "code"),
        at("bodySite", concept(), "body_sites"),
        subject(),
        at("encounter", reference(), "encounter"),
        onset("onset", "onset"),
        onset("abatement", "abatement"),
        at("stage", EXTENT, "extent"),
        at("evidence", Detail(), "evidence"),
        profile=profile,
        title=lambda item: f"Diagnosis: {item.code.label}",
        known_by=("code", known) if known else None,
        only=("role", role),
    )


EXTENT = Element(Extent, at("summary", concept(), "summary"), at("type", concept(), "type"))
CONDITION = choose(
    "role",
    _table("mucinosis", "smx-condition", (TERMS.scleromyxedema,)),
    _table("gammopathy", "smx-gammopathy", (TERMS.monoclonal_gammopathy, TERMS.mgus)),
    _table("associated", "smx-associated-condition"),
    _table("comorbidity", "smx-comorbidity"),
)
