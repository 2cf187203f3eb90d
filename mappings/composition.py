"""The Composition of a document: the case told section by section, for people, with every resource listed."""

from __future__ import annotations

from mappings.case import SECTIONS, Case
from mappings.codec import coding_json, dar_extension, term_json
from mappings.generated import COMPOSITION, SOFTWARE_ID, SOFTWARE_VALUE, div, labels, resource_id
from mappings.narrative import block
from mappings.planning import names
from mappings.report import Json
from mappings.resource import Planned
from mappings.terms import TERMS

#: Which section of the document tells which section of the case.
TOLD_IN = {
    "diagnoses": ("patient", "encounters", "conditions", "disease_status", "criteria"),
    "findings": ("findings", "system_reviews"),
    "laboratory": ("monoclonal_protein", "specimens", "reports"),
    "therapies": ("therapies", "products"),
    "course": ("measurements", "devices", "figures", "assessments", "tolerance"),
    "discussion": ("documents", "statements"),
    "literature": ("literature",),
}
if sorted(name for names in TOLD_IN.values() for name in names) != sorted(name for name, _ in SECTIONS):
    raise TypeError("composition: a section of the case is told twice or not at all")
_SECTION = {table: name for name, any_map in SECTIONS for table in any_map.tables}


def composition(case: Case, plans: list[Planned], subject: str, recorded: str) -> dict[str, Json]:
    """The Composition of the planned resources; ``recorded`` is the time of its making."""
    by_section: dict[str, list[Planned]] = {name: [] for names in TOLD_IN.values() for name in names}
    for planned in plans:
        top = planned
        while top.owner is not None:
            top = top.owner
        by_section[_SECTION[top.table]].append(planned)
    out: dict[str, Json] = {
        "resourceType": "Composition",
        "id": resource_id(case, "Composition", "composition"),
        "meta": {"profile": [COMPOSITION]} | labels(case),
        "language": case.language,
        "text": div(case.language, f"Case {case.case_id}, written by {SOFTWARE_VALUE}"),
        "status": TERMS.composition_final.code,
        "type": term_json(TERMS.case_report),
        "subject": {"reference": subject},
    }
    out |= {"date": recorded} if recorded else {"_date": {"extension": [dar_extension("unknown")]}}
    out["author"] = [{"reference": f"urn:uuid:{SOFTWARE_ID}"}]
    out["title"] = f"Scleromyxedema: case {case.case_id}"
    told = {title: [p for name in names for p in by_section[name]] for title, names in TOLD_IN.items()}
    called = names(plans)
    out["section"] = [_section(case, title, planned, called) for title, planned in told.items() if planned]
    return out


def _section(case: Case, title: str, plans: list[Planned], called: dict[str, str]) -> dict[str, Json]:
    """One section: its code, its text, its entries."""
    term = TERMS[f"section-{title}"]
    blocks = "".join(block(p.title, p.item, p.share, called) for p in plans)
    head = f'<div xmlns="http://www.w3.org/1999/xhtml" xml:lang="{case.language}" lang="{case.language}">'
    return {
        "title": term.display,
        "code": {"coding": [coding_json(term.codings[0])], "text": term.display},
        "text": {"status": "generated", "div": f"{head}{blocks}</div>"},
        "entry": [{"reference": p.ref} for p in plans],
    }
