"""The full report of a reading: what became of every leaf, by which codes, and whether the way back holds.

Nothing in it quotes a patient: element names, codes, units, counts and hashes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256

from adapter.verify import Tick
from mappings import Case, Issue, MappingError, Report, __version__, dump_case, encode, from_fhir, to_fhir
from mappings.report import Json, outcome
from mappings.terms import HERE
from mappings.wire import as_plain


@cache
def terms_version() -> str:
    """The hash of the term tables: two readings with the same one know the same codes."""
    tables = sorted(HERE.glob("*.tsv"))
    return sha256(b"".join(table.read_bytes() for table in tables)).hexdigest()


@dataclass(frozen=True, slots=True)
class FullReport:
    """A `Report` with what it is about: hashes, versions, the way back. No case: the document was refused."""

    report: Report
    input_sha256: str
    document: Json = field(repr=False, default=None)
    case: Case | None = field(repr=False, default=None)
    #: of the case document as ``to-case`` writes it
    output_sha256: str | None = None
    #: whether `to_fhir(case, onto=document)` is the document again, byte for byte
    reversible: bool | None = None

    @property
    def readable(self) -> bool:
        """Whether there is a case."""
        return self.case is not None

    def as_json(self) -> dict[str, Json]:
        """All of it as plain JSON."""
        return {
            "readable": self.readable,
            "adapter": __version__,
            "terms_sha256": terms_version(),
            "input_sha256": self.input_sha256,
            "output_sha256": self.output_sha256,
            "reversible": self.reversible,
            **self.report.as_json(),
        }

    def as_outcome(self) -> dict[str, Json]:
        """All of it as an OperationOutcome; the first issue is the report as a whole."""
        facts = {name: value for name, value in self.as_json().items() if name not in ("issues", "leaves", "direction")}
        told = (
            f"{self.report.mapped} of {self.report.total} leaves mapped."
            if self.readable
            else "The document is refused."
        )
        head = {
            "severity": "information" if self.readable else "error",
            "code": "informational" if self.readable else "processing",
            "details": {"text": told},
            "diagnostics": "; ".join(f"{name} {_word(value)}" for name, value in facts.items()),
        }
        issues = outcome(self.report.issues)["issue"] if self.report.issues else []
        return {"resourceType": "OperationOutcome", "issue": [head, *issues]}


def _word(value: Json) -> str:
    return value if isinstance(value, str) else {True: "yes", False: "no", None: "none"}[value]


def full_of_written(raw: bytes, case: Case, report: Report, bundle: dict[str, Json], tick: Tick = None) -> FullReport:
    """The full report of the Bundle that was written from these bytes; it is reversible if reading it gives the case.

    A transaction carries no literature, and a Bundle that was written onto may hold more: those may not be.
    """
    try:
        back = encode(dump_case(from_fhir(bundle, tick=tick)[0])) == encode(dump_case(case))
    except MappingError:
        back = False
    return FullReport(report, sha256(raw).hexdigest(), case=case, reversible=back)


def full(raw: bytes, document: Json, case: Case, report: Report, tick: Tick = None) -> FullReport:
    """The full report of what was read from these bytes, which are this document."""
    return FullReport(
        report,
        sha256(raw).hexdigest(),
        document,
        case,
        sha256(encode(dump_case(case), pretty=True)).hexdigest(),
        _comes_back(case, document, tick),
    )


def read(
    raw: bytes, patient: str | None = None, strict: bool = False, also: Callable[[Json], list[Issue]] | None = None
) -> FullReport:
    """Read the bytes and report in full; a refusal is a report too. ``also`` adds issues of its own."""
    try:
        document = as_plain(raw)
        case, report = from_fhir(document, patient=patient, strict=strict)
        report.issues += also(document) if also else []
    except MappingError as error:
        return FullReport(Report("fhir-to-case", issues=list(error.issues)), sha256(raw).hexdigest())
    return full(raw, document, case, report)


def _comes_back(case: Case, document: Json, tick: Tick) -> bool:
    """Whether the case, written onto the document that it was read from, gives its bytes again."""
    try:
        return encode(to_fhir(case, onto=document, tick=tick)) == encode(document)
    except MappingError:
        return False
