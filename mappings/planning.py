"""The resources of a case before they are written: ids, references, narrative."""

from __future__ import annotations

from mappings.case import Case
from mappings.generated import labelling, resource_id
from mappings.report import Issue, MappingError
from mappings.resource import Planned, Writing, by_key


def identify(case: Case, plans: list[Planned]) -> None:
    """Give each resource its id and reference; two with one id are an error."""
    ids: dict[str, Planned] = {}
    for planned in plans:
        planned.id = resource_id(case, planned.table.type, planned.key)
        planned.ref = f"urn:uuid:{planned.id}"
        if planned.id in ids:
            raise MappingError(Issue("id-collision", path=f"key {planned.key}", expected="shares with distinct names"))
        ids[planned.id] = planned


#: Words that begin a title and say only of what kind the item is.
_KINDS = {"Diagnosis", "Finding", "Course of therapy", "Report", "Device", "Specimen", "Product", "Disease status",
          "Reported diagnosis", "Reported therapy", "Source"}  # fmt: skip


def names(plans: list[Planned]) -> dict[str, str]:
    """What each item is called in the narrative of others: its title without the word for its kind, or its value.

    Each resource has its title from now on.
    """
    found = {}
    for planned in plans:
        planned.title = planned.table.title(planned.item)
        kind, _, rest = planned.title.partition(": ")
        found[planned.item_key] = rest if rest and kind in _KINDS else kind
    return found


def writing(case: Case, plans: list[Planned], subject: str, optional_codes: bool) -> Writing:
    return Writing(case, by_key(plans), subject, optional_codes, labelling(case), names(plans))
