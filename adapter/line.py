"""One line of an archive: a document goes in, what it becomes comes out, or why it is refused; for both engines."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from adapter.bugs import bug
from adapter.verify import Verify, findings, received, written
from mappings import Issue, MappingError, Report, dump_case, encode, from_fhir, load_case, to_fhir
from mappings.report import Json, outcome
from mappings.wire import as_plain

Operation = Literal["to-fhir", "to-case", "validate"]
#: bytes of the longest line that is read
MAX_LINE = 32 * 2**20


@dataclass(frozen=True, slots=True)
class Task:
    """What is done to every line; ``options`` are those of `to_fhir` or `from_fhir`."""

    operation: Operation
    verify: Verify = "all"
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a line: its result without a line's end, None if it is refused; and what is to be said."""

    result: bytes | None
    issues: list[Issue]

    def codes(self) -> list[str]:
        """The code of each kind of issue, once: of a refused line those of its errors, else the warnings' too."""
        return sorted({issue.code for issue in self.loud()})

    def outcome(self) -> dict[str, Json]:
        """The same issues as an OperationOutcome."""
        return outcome(self.loud())

    def loud(self) -> list[Issue]:
        """The issues that matter: errors, and warnings unless the line is refused."""
        levels = ("error",) if self.result is None else ("error", "warning")
        return [issue for issue in self.issues if issue.level in levels]


def convert(raw: bytes, task: Task) -> Done:
    """Do the task to one line; our own bugs are refusals as well, and only want of memory is raised."""
    try:
        if len(raw) > MAX_LINE:
            raise MappingError(too_long())
        return _OPERATIONS[task.operation](raw, task)
    except MappingError as error:
        return Done(None, list(error.issues))
    except MemoryError:  # it says nothing about the line
        raise
    except Exception as error:
        return Done(None, [bug(error, "Report this line; the others go on, and the input is unharmed.")])


def too_long() -> Issue:
    """The issue of a line that is longer than `MAX_LINE`."""
    return Issue("too-large", "The line is longer than allowed.", expected=f"{MAX_LINE} bytes or fewer")


def _to_fhir(raw: bytes, task: Task) -> Done:
    report = Report("case-to-fhir")
    bundle = to_fhir(load_case(raw), report=report, **task.options)
    return Done(encode(written(bundle, task.verify)), report.issues)


def _to_case(raw: bytes, task: Task) -> Done:
    document = as_plain(raw)
    case, report = from_fhir(document, **task.options)
    told = received(document, task.verify, task.options.get("strict", False))
    return Done(encode(dump_case(case)), report.issues + told)


def _validate(raw: bytes, task: Task) -> Done:
    """A document without errors goes on as it is, byte for byte."""
    found = findings(raw)
    bad = any(issue.level == "error" for issue in found)
    return Done(None if bad else raw.strip().removeprefix(codecs.BOM_UTF8), found)


_OPERATIONS = {"to-fhir": _to_fhir, "to-case": _to_case, "validate": _validate}
