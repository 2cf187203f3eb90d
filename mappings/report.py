"""What a conversion has to say: issues, the report that collects them, and its OperationOutcome.

An issue says where (FHIRPath and JSON pointer), what was expected, and what to do. It names
fields, codes and units; it never quotes a patient value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from mappings import notebook
from mappings.compiled import maker

Json = Any
Severity = Literal["error", "warning", "information"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
Disposition = Literal["", "normalised", "derived", "kept", "refused", "generated"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One stable issue code: its FHIR issue-type, its usual severity, its meaning and remedy."""

    issue_type: str
    severity: Severity
    meaning: str
    remedy: str


#: Every stable issue code. Answers link to it, tests refer to it; a code never changes its meaning.
CATALOGUE: dict[str, Kind] = {
    # the document as text
    "not-json": Kind("structure", "error", "The text is not JSON.", "Send one JSON document in UTF-8."),
    "not-utf8": Kind("structure", "error", "The bytes are not UTF-8.", "Encode the document as UTF-8."),
    "duplicate-name": Kind("structure", "error", "A JSON object names a member twice.", "Keep one of the two."),
    "bad-number": Kind("value", "error", "A number cannot be kept exactly.", "Write a finite JSON number."),
    "bad-text": Kind("value", "error", "A string holds a character that FHIR text cannot carry.", "Remove it."),
    "too-deep": Kind("too-costly", "error", "The document is nested too deeply.", "Flatten the document."),
    "python-float": Kind(
        "value", "error", "A Python float has no exact decimal digits.", "Pass a Decimal, or the JSON bytes."
    ),
    # the case document
    "wrong-type": Kind("structure", "error", "A value has the wrong JSON type.", "Give the expected type."),
    "missing-field": Kind("required", "error", "A required field is missing.", "Add the field."),
    "unknown-field": Kind("structure", "error", "The case has no such field.", "Remove it or mend its name."),
    "bad-value": Kind("value", "error", "A value is not allowed here.", "Use one of the expected values."),
    "wrong-unit": Kind("value", "error", "The unit is not allowed for this field.", "Use an expected unit."),
    "duplicate-key": Kind("duplicate", "error", "Two items have the same key.", "Give each item its own key."),
    "dangling-reference": Kind("not-found", "error", "A key names no item.", "Name an item of this case."),
    "wrong-reference": Kind("value", "error", "A key names an item of another kind.", "Name an expected item."),
    "circular-anchor": Kind(
        "business-rule", "error", "Relative times refer to each other in a circle.", "Break the circle."
    ),
    "rule": Kind(
        "business-rule", "error", "A rule of the case is broken.", "Mend this field, or the one that it contradicts."
    ),
    # the bundle as a whole
    "not-fhir": Kind("structure", "error", "The document is not a FHIR resource.", "Send a FHIR R4 Bundle."),
    "other-version": Kind(
        "not-supported",
        "error",
        "The resource has the shape of another FHIR version.",
        "Convert it to FHIR R4 (4.0.1) first.",
    ),
    "no-patient": Kind("required", "error", "The Bundle holds no Patient.", "Send the Patient with its resources."),
    "several-patients": Kind(
        "multiple-matches",
        "error",
        "The Bundle holds several Patients.",
        "Say which one: --patient ID, or patient= in Python.",
    ),
    "needs-time": Kind(
        "required", "error", "A document needs the time of its making.", "Set `recorded` in the case, or pass now=."
    ),
    "bad-option": Kind("value", "error", "An option has a value that it cannot take.", "Use an expected value."),
    "id-collision": Kind("duplicate", "error", "Two items get the same resource id.", "Give them different keys."),
    "not-mapped-strict": Kind(
        "not-supported",
        "error",
        "Something is not mapped, and strict was asked for.",
        "Read without strict to keep it in the report, or remove it.",
    ),
    # what became of single elements and resources
    "unknown-element": Kind(
        "informational",
        "information",
        "An element is not mapped.",
        "Nothing to do: writing onto the Bundle leaves it as it is.",
    ),
    "unknown-resource": Kind(
        "informational",
        "information",
        "A resource is not mapped.",
        "Nothing to do: writing onto the Bundle leaves it as it is.",
    ),
    "inexact-code": Kind(
        "code-invalid",
        "warning",
        "A code means nearly what it is read as.",
        "Check the reading, or send an exact code.",
    ),
    "unit-alias": Kind(
        "informational", "information", "A unit in another spelling was read as its UCUM code.", "Send the UCUM code."
    ),
    "duration-as-rate": Kind(
        "value",
        "warning",
        "A rate holds a time; it is read as how long the dose took.",
        "Send a Ratio of dose and time.",
    ),
    "course-derived": Kind(
        "informational",
        "warning",
        "Administrations without a course were put into one.",
        "Send the MedicationStatement of the course, and refer to it.",
    ),
    "panel-derived": Kind(
        "informational",
        "warning",
        "Clones without a panel were put into one.",
        "Send the panel that says how many clones there are, and have it name them as members.",
    ),
    "cycle-grouped": Kind(
        "informational",
        "information",
        "Infusions were grouped into cycles by their dates.",
        "Send the number of the cycle (extension smx-cycle).",
    ),
    "unreadable-resource": Kind(
        "value",
        "error",
        "A resource that the tables know cannot be read.",
        "Mend the element that is named; until then it is left as it is.",
    ),
    "unreadable-element": Kind(
        "value",
        "warning",
        "An element that the tables know cannot be read.",
        "Mend it; until then it is left as it is.",
    ),
    "unmapped-code": Kind(
        "code-invalid",
        "warning",
        "A code is not in the word table of its element.",
        "Add a row to the tables, or send an expected code.",
    ),
    "modifier": Kind(
        "not-supported",
        "error",
        "A modifier that is not understood changes the meaning.",
        "Read the resource by hand; it is left as it is.",
    ),
    "duplicate-entry": Kind(
        "duplicate",
        "information",
        "The same resource stands in the document before.",
        "Nothing to do: it is read once.",
    ),
    "incomplete-page": Kind(
        "incomplete",
        "warning",
        "The page has a next one, which is not in the document.",
        "Fetch the other pages, and send all of them as Parameters.",
    ),
    "request-only": Kind(
        "not-supported",
        "warning",
        "The entry asks a server for something and holds no resource.",
        "It is not carried out; send the resource as it is afterwards.",
    ),
    "subsetted": Kind(
        "incomplete",
        "warning",
        "The server sent only some elements of the resource.",
        "Ask for the whole resource: without _summary and _elements.",
    ),
    "sender-outcome": Kind(
        "informational",
        "warning",
        "The sender says something about the document itself.",
        "Read the OperationOutcome: something may be missing.",
    ),
    "code-conflict": Kind(
        "code-invalid",
        "warning",
        "The codes of a resource mean different things; it is read by the first.",
        "Check the reading, or send codes of one meaning.",
    ),
    "older-version": Kind(
        "informational",
        "information",
        "A newer version of the resource is in the history.",
        "Nothing to do: the newest version is read.",
    ),
    "deleted": Kind("deleted", "information", "The resource was deleted later.", "Nothing to do: it is not read."),
    "entered-in-error": Kind(
        "business-rule",
        "error",
        "The resource is marked as entered in error.",
        "Nothing to do: it is left as it is and not read.",
    ),
    "unattached": Kind(
        "not-found",
        "error",
        "A part belongs to no resource of the Bundle that is mapped.",
        "Send the course or panel that it belongs to in the same Bundle.",
    ),
    "other-subject": Kind(
        "informational", "warning", "The resource is about another subject.", "Read it with its own patient."
    ),
    "unknown-extension": Kind(
        "informational",
        "information",
        "An extension is not mapped.",
        "Nothing to do: writing onto the Bundle leaves it as it is.",
    ),
    "envelope": Kind(
        "informational",
        "information",
        "The Bundle's own elements are no facts of the case.",
        "Nothing to do: they are written anew, or left as they are.",
    ),
    "subject-bound": Kind(
        "informational",
        "warning",
        "The Patient is not written: the Bundle is bound to another.",
        "Make sure that the chart holds sex, birth date and identifiers.",
    ),
    "other-identity": Kind(
        "informational",
        "warning",
        "Nothing says that the Patient of the document is that of the case.",
        "Make sure that it is the same person.",
    ),
    "unresolved-reference": Kind(
        "not-found",
        "information",
        "A reference leads out of the Bundle.",
        "Nothing is fetched; send the target in the same Bundle if it matters.",
    ),
    "ambiguous-reference": Kind(
        "multiple-matches", "warning", "A reference fits several entries.", "Use the fullUrl of the one that is meant."
    ),
    "lenient-reference": Kind(
        "informational",
        "information",
        "A relative reference is read as the only entry of this type and id.",
        "Refer to entries by their fullUrl.",
    ),
    "version-mismatch": Kind(
        "informational",
        "information",
        "A reference names another version of the patient than the one in the document.",
        "Nothing to do: it is the same patient.",
    ),
    "no-place": Kind(
        "informational",
        "warning",
        "The received document has no place for this.",
        "Keep the case document: there it stays.",
    ),
    "rest-dropped": Kind(
        "informational",
        "warning",
        "An element went, and foreign content inside it with it.",
        "Check whether the foreign content still matters.",
    ),
    "not-in-case": Kind(
        "informational",
        "information",
        "A resource of the Bundle is not in the case and is kept.",
        "Pass remove=True to remove it.",
    ),
    "removed": Kind(
        "informational",
        "information",
        "A resource that is not in the case was removed.",
        "Nothing to do: remove=True asked for it.",
    ),
    "narrative-generated": Kind(
        "informational",
        "information",
        "A generated narrative is not read.",
        "Nothing to do: it is written anew where facts changed.",
    ),
    "signature-dropped": Kind(
        "informational", "warning", "The Bundle's signature went, since its content changed.", "Sign the Bundle anew."
    ),
    "implausible": Kind(
        "business-rule",
        "warning",
        "Something is unusual; it is kept as it is.",
        "Check it against the source; unusual is not wrong.",
    ),
    "generated-resource": Kind(
        "informational",
        "information",
        "A resource that this adapter generates is not read.",
        "Nothing to do: it is generated anew.",
    ),
    "literature-excluded": Kind(
        "informational",
        "information",
        "Literature is left out of a transaction.",
        "Write a collection or a document to carry it.",
    ),
    "not-idempotent": Kind(
        "informational",
        "warning",
        "An entry is created anew each time it is sent.",
        "Use mode `put` where the server allows it.",
    ),
    # FHIR R4 itself
    "r4": Kind("invariant", "error", "The resource breaks a rule of FHIR R4.", "Mend the element that is named."),
    # the service and the command line
    "not-writable": Kind("exception", "error", "The output cannot be written.", "Check the folder and its rights."),
    "not-readable": Kind("not-found", "error", "The input cannot be read.", "Check the path and its rights."),
    "unsupported-media-type": Kind(
        "not-supported",
        "error",
        "The content type is not supported.",
        "Send application/fhir+json or application/json.",
    ),
    "not-acceptable": Kind(
        "not-supported",
        "error",
        "No acceptable content type can be answered.",
        "Accept application/fhir+json or application/json.",
    ),
    "too-large": Kind("too-long", "error", "The document is larger than allowed.", "Send it in parts."),
    "no-route": Kind("not-found", "error", "The path is unknown.", "See GET /fhir/metadata for the operations."),
    "wrong-method": Kind("not-supported", "error", "The path does not take this method.", "See the Allow header."),
    "not-gzip": Kind("structure", "error", "The body is not whole gzip.", "Pack it anew, or send it unpacked."),
    "too-costly": Kind("too-costly", "error", "The conversion takes more than one may cost.", "Send it in parts."),
    "unlisted": Kind(
        "too-costly", "information", "More was found than is listed.", "Mend what is listed, and send it again."
    ),
    "timeout": Kind("timeout", "error", "The request did not arrive in time.", "Send it again later, unchanged."),
    "throttled": Kind("throttled", "error", "Too much is being converted already.", "Send it again later, unchanged."),
    "unavailable": Kind("transient", "error", "The service starts or stops.", "Send it again later, unchanged."),
    "unauthenticated": Kind("login", "error", "No valid credentials came with the request.", "Send a valid key."),
    "forbidden": Kind("forbidden", "error", "The caller may not do this.", "Ask the operator of the service."),
    "wrong-host": Kind(
        "security", "error", "The Host header names another service.", "Call it by a name that it is set up for."
    ),
    "bad-request": Kind("invalid", "error", "The request cannot be understood.", "Mend the request."),
    # a FHIR server
    "server-gap": Kind(
        "not-supported",
        "error",
        "The server states that it cannot take this; nothing was sent.",
        "Try the other --mode, or ask whoever runs the server.",
    ),
    "not-reached": Kind(
        "transient",
        "error",
        "The server did not answer; nothing was written.",
        "Check the address and the network, then run it again.",
    ),
    "unknown-outcome": Kind(
        "timeout",
        "error",
        "It is not known whether the server stored it.",
        "Send it again when the server is at rest: what is there is found and not written twice.",
    ),
    "server-refused": Kind("processing", "error", "The server refused it.", "See the codes of its answer."),
    "server-answer": Kind(
        "structure",
        "error",
        "The server's answer is not what FHIR says.",
        "Look at what it stored; tell whoever runs the server.",
    ),
    "stored-differently": Kind(
        "incomplete",
        "warning",
        "The server keeps something else than was sent.",
        "Compare the resource with the case: digits and texts may be lost.",
    ),
    "page-refused": Kind(
        "security",
        "error",
        "The next page is not fetched.",
        "Tell whoever runs the server: its links are wrong.",
    ),
    "bug": Kind("exception", "error", "The adapter failed.", "Report the request id; the input is unharmed."),
}


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that went wrong or is worth knowing.

    ``code`` is a key of `CATALOGUE`; ``path`` a FHIRPath, ``pointer`` a JSON pointer into the
    input; ``expected`` and ``remedy`` are sentences. ``rule`` names a FHIR invariant where one
    is broken; ``leaves`` counts the JSON leaves it speaks for.
    """

    code: str
    message: str = ""
    path: str = ""
    pointer: str = ""
    expected: str = ""
    remedy: str = ""
    severity: Severity | None = None
    disposition: Disposition = ""
    rule: str = ""
    leaves: int = 0

    @property
    def level(self) -> Severity:
        """The severity: the issue's own, else that of its code."""
        return self.severity or CATALOGUE[self.code].severity

    @property
    def text(self) -> str:
        """What is wrong, in one sentence."""
        return self.message or CATALOGUE[self.code].meaning

    @property
    def what_to_do(self) -> str:
        """The remedy: the issue's own, else that of its code."""
        return self.remedy or CATALOGUE[self.code].remedy

    def line(self) -> str:
        """One line for a screen."""
        where = " ".join(part for part in (self.path, self.pointer and f"({self.pointer})") if part)
        expected = f" Expected: {self.expected}." if self.expected else ""
        return f"{self.level}: {where + ': ' if where else ''}{self.text}{expected} -> {self.what_to_do} [{self.code}]"

    def as_outcome(self) -> dict[str, Json]:
        """The issue as one ``OperationOutcome.issue``."""
        diagnostics = self.text + (f" Expected: {self.expected}." if self.expected else "")
        out: dict[str, Json] = {
            "severity": self.level,
            "code": CATALOGUE[self.code].issue_type,
            "details": {"coding": [{"system": ISSUE_SYSTEM, "code": self.code}], "text": self.what_to_do},
            "diagnostics": diagnostics + (f" Pointer: {self.pointer}" if self.pointer else ""),
        }
        if self.path:
            out["expression"] = [self.path]
        return out


_issue = maker(Issue)  # a document of others has many
ISSUE_SYSTEM = "https://scleromyx.invalid/fhir/CodeSystem/issue"


class MappingError(Exception):
    """A document is refused. ``issues`` lists everything that is wrong with it, at once."""

    def __init__(self, issues: Issue | Sequence[Issue]) -> None:
        self.issues: tuple[Issue, ...] = (issues,) if isinstance(issues, Issue) else tuple(issues)
        super().__init__("\n".join(issue.line() for issue in self.issues))


def outcome(issues: Iterable[Issue], success: str = "Nothing to report.") -> dict[str, Json]:
    """The issues as an OperationOutcome; one informational issue where there are none."""
    found = [issue.as_outcome() for issue in issues]
    ok = {"severity": "information", "code": "informational", "diagnostics": success}
    return {"resourceType": "OperationOutcome", "issue": found or [ok]}


@dataclass(slots=True)
class Report:
    """What became of every leaf of the input: ``total == mapped + rest``; ``issues`` say what and where."""

    direction: Literal["case-to-fhir", "fhir-to-case"]
    total: int = 0
    mapped: int = 0
    issues: list[Issue] = field(default_factory=list)

    @property
    def rest(self) -> int:
        """Leaves that are not in the result."""
        return self.total - self.mapped

    def add(self, code: str, **more: Json) -> None:
        """Note one issue; see `Issue` for the names."""
        self.issues.append(_issue(code=code, **more))

    @property
    def errors(self) -> list[Issue]:
        """The issues of level error."""
        return [issue for issue in self.issues if issue.level == "error"]

    def as_json(self) -> dict[str, Json]:
        """The report as plain JSON, without a patient value: direction, counts of leaves, and the issues."""
        return {
            "direction": self.direction,
            "leaves": {"total": self.total, "mapped": self.mapped, "rest": self.rest},
            "issues": [
                {
                    "severity": i.level,
                    "code": i.code,
                    "disposition": i.disposition,
                    "path": i.path,
                    "pointer": i.pointer,
                    "message": i.text,
                    "expected": i.expected,
                    "remedy": i.what_to_do,
                    "leaves": i.leaves,
                }
                for i in self.issues
            ],
        }

    def _repr_html_(self) -> str:
        """What a notebook shows: how much was mapped, and the issues by their codes, errors first."""
        counts = Counter((SEVERITIES.index(issue.level), issue.code) for issue in self.issues)
        rows = [(code, SEVERITIES[level], n, CATALOGUE[code].meaning) for (level, code), n in sorted(counts.items())]
        caption = f"{self.direction}: {self.mapped} of {self.total} leaves mapped, {self.rest} not"
        return notebook.table(caption, ("code", "severity", "issues", "meaning"), rows)

    def as_outcome(self) -> dict[str, Json]:
        """The report as an OperationOutcome."""
        return outcome(self.issues, f"{self.mapped} of {self.total} leaves mapped.")
