"""The messages of the judge that are accepted, each with its reason. The list stays short."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tests.judge.judge import Message

Json = Any


def _always(resource: Json) -> bool:
    return True


@dataclass(frozen=True)
class Accepted:
    """Messages of a code, at a path and with a text that the expressions find, in resources of which ``when`` holds."""

    code: str
    reason: str
    path: str = ""
    text: str = ""
    when: Callable[[Json], bool] = _always

    def covers(self, message: Message, document: Json) -> bool:
        """Whether it is about this message."""
        found = re.search(self.code, message.code) and re.search(self.path, message.path)
        return bool(found and re.search(self.text, message.message)) and self.when(resource_of(message, document))


def resource_of(message: Message, document: Json) -> Json:
    """The resource that a message about a Bundle is about; else the document itself."""
    entry = re.match(r"Bundle\.entry\[(\d+)\]\.resource", message.path)
    return document["entry"][int(entry[1])]["resource"] if entry else document


def rest(messages: Iterable[Message], document: Json, accepted: Iterable[Accepted]) -> list[str]:
    """The errors and warnings that nothing accepts."""
    known = tuple(accepted)
    found = [m for m in messages if m.severity != "information"]
    return [str(m) for m in found if not any(one.covers(m, document) for one in known)]


def _no_effective(resource: Json) -> bool:
    return not any(name.lstrip("_").startswith("effective") for name in resource)


def _no_moment(resource: Json) -> bool:
    return "effectiveDateTime" not in resource


#: Of the Bundles that the adapter writes.
OF_BUNDLES = (
    Accepted(
        "^All_observations_should_have_an_effectiveDateTime_or_an_effectivePeriod$",
        "A best practice. A case need not say when something was observed, and no time is made up.",
        when=_no_effective,
    ),
    Accepted(
        "#vs-1$",
        "R4's expression of vs-1 is false for all but a dateTime with a value; its words are not: they let a Period be "
        "and a time that has a reason for its absence.",
        when=_no_moment,
    ),
    Accepted(
        "^TYPE_SPECIFIC_CHECKS_DT_QTY_UCUM_ANNOTATIONS",
        "UCUM has no unit for a score or for a ratio as such; the annotation is how it wants that written.",
        text=r"\{(score|ratio)\}",
    ),
)
#: Of the published conformance resources.
OF_DEFINITIONS = (
    Accepted(
        "^ERROR_GENERATING_SNAPSHOT$",
        "To check any extension definition the engine asks a package server, and the judge has no network. That the "
        "snapshot can be made is checked when the judge starts.",
        text=r"Unable to resolve package id hl7\.fhir\.r4\.core",
        when=lambda resource: resource.get("type") == "Extension",
    ),
    Accepted(
        "^CODESYSTEM_CONCEPT_NO_DEFINITION$",
        "The definitions of ICD-10 are WHO's and not ours to publish; HL7 only lent the URI.",
        when=lambda resource: "hl7.org/fhir/sid/icd-10" in resource.get("url", ""),
    ),
    Accepted(
        "^CONCEPTMAP_GROUP_(SOURCE|TARGET)_INCOMPLETE$",
        "The terminologies of others are not ours to publish whole; the judge has fragments of them.",
        text="content = fragment",
    ),
)
#: Of generated cases: what the case says is passed on, whatever a server may think of it.
OF_GENERATED = (
    Accepted(
        "^Terminology_TX_(NoValid_2_CC|Code_ValueSet_Ext)$",
        "The type of a foreign identifier is the sender's; R4 would like one of its own there.",
        path=r"\.identifier\[\d+\]\.type$",
    ),
)
