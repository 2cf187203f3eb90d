"""The case: its sections in reading order, and the table of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from mappings import notebook
from mappings.concepts.assessment import ASSESSMENT, Assessment
from mappings.concepts.condition import CONDITION, Condition
from mappings.concepts.criteria import CRITERIA, Criteria
from mappings.concepts.device import DEVICE, Device
from mappings.concepts.diagnostic_report import DIAGNOSTIC_REPORT, DiagnosticReport
from mappings.concepts.disease_status import DISEASE_STATUS, DiseaseStatus
from mappings.concepts.document import DOCUMENT, STATEMENT, Document, Statement
from mappings.concepts.encounter import ENCOUNTER, Encounter
from mappings.concepts.figure import FIGURE, Figure
from mappings.concepts.finding import FINDING, FINDING_AS_CONDITION, Finding
from mappings.concepts.literature import LITERATURE, Literature
from mappings.concepts.measurement import MEASUREMENT, Measurement
from mappings.concepts.monoclonal_protein import CLONE_AS_RESULT, MONOCLONAL_PROTEIN, MonoclonalProtein
from mappings.concepts.patient import PATIENT, Patient
from mappings.concepts.product import PRODUCT, Product
from mappings.concepts.specimen import SPECIMEN, Specimen
from mappings.concepts.system_review import SYSTEM_REVIEW, SystemReview
from mappings.concepts.therapy import THERAPY, Therapy
from mappings.concepts.tolerance import TOLERANCE, Tolerance
from mappings.resource import AnyMap, ResourceMap
from mappings.values import INSTANT, LANGUAGE, SLUG, Coding, Uri

SCHEMA_VERSION: Literal["1.0"] = "1.0"


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class Case:
    """One patient's case, clinical facts only.

    ``case_system`` is the URI of whoever gives out ``case_id``; the two and an item's key make
    the item's identity, so two hospitals never share one. ``recorded`` is when the case was
    written down. ``security`` labels every resource, ``tags`` likewise.
    """

    schema_version: Literal["1.0"]
    case_system: Uri
    case_id: Annotated[str, SLUG]
    language: Annotated[str, LANGUAGE]
    recorded: Annotated[str, INSTANT] | None = None
    security: tuple[Literal["HTEST", "ANONYED", "PSEUDED"], ...] = ()
    tags: tuple[Coding, ...] = ()
    patient: Patient
    encounters: tuple[Encounter, ...] = ()
    conditions: tuple[Condition, ...] = ()
    findings: tuple[Finding, ...] = ()
    system_reviews: tuple[SystemReview, ...] = ()
    disease_status: tuple[DiseaseStatus, ...] = ()
    criteria: tuple[Criteria, ...] = ()
    monoclonal_protein: tuple[MonoclonalProtein, ...] = ()
    specimens: tuple[Specimen, ...] = ()
    reports: tuple[DiagnosticReport, ...] = ()
    figures: tuple[Figure, ...] = ()
    devices: tuple[Device, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    products: tuple[Product, ...] = ()
    therapies: tuple[Therapy, ...] = ()
    assessments: tuple[Assessment, ...] = ()
    tolerance: tuple[Tolerance, ...] = ()
    documents: tuple[Document, ...] = ()
    statements: tuple[Statement, ...] = ()
    literature: Literature | None = None

    def rules(self) -> Iterator[tuple[str, str]]:
        """One time zero (invariant smx-3)."""
        if sum(encounter.time_zero is True for encounter in self.encounters) > 1:
            yield "encounters", "at most one encounter is time zero"

    def _repr_html_(self) -> str:
        """What a notebook shows: the sections that are given, and how many items each has."""
        given = [(name.replace("_", " "), getattr(self, name)) for name, _ in SECTIONS]
        rows = [(name, len(value) if isinstance(value, tuple) else 1) for name, value in given if value]
        return notebook.table(f"Case {self.case_id} of {self.case_system}", ("section", "items"), rows)


#: The list of tables. A new concept is one line here and one field above.
SECTIONS: tuple[tuple[str, AnyMap], ...] = (
    ("patient", PATIENT),
    ("encounters", ENCOUNTER),
    ("conditions", CONDITION),
    ("findings", FINDING),
    ("system_reviews", SYSTEM_REVIEW),
    ("disease_status", DISEASE_STATUS),
    ("criteria", CRITERIA),
    ("monoclonal_protein", MONOCLONAL_PROTEIN),
    ("specimens", SPECIMEN),
    ("reports", DIAGNOSTIC_REPORT),
    ("figures", FIGURE),
    ("devices", DEVICE),
    ("measurements", MEASUREMENT),
    ("products", PRODUCT),
    ("therapies", THERAPY),
    ("assessments", ASSESSMENT),
    ("tolerance", TOLERANCE),
    ("documents", DOCUMENT),
    ("statements", STATEMENT),
    ("literature", LITERATURE),
)


def _all_tables() -> Iterator[ResourceMap]:
    waiting: list[AnyMap] = [table for _, table in SECTIONS]
    while waiting:
        for table in waiting.pop(0).tables:
            yield table
            waiting += [row.table for row in table.each]


#: Tables that only read and rewrite what others keep in another resource, with their section; a part has none.
ALTERNATES: dict[ResourceMap, str | None] = {FINDING_AS_CONDITION: "findings", CLONE_AS_RESULT: None}
#: Every table, parts included, in the order of the sections.
TABLES: tuple[ResourceMap, ...] = tuple(dict.fromkeys(_all_tables()))
