"""Holding documents against FHIR R4: what we write must keep to it, what we receive is told where it does not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, Literal

from adapter.r4 import check
from mappings import Issue, MappingError, decode, encode, load_case
from mappings.report import Json

Tick = Callable[[], None] | None
Verify = Literal["all", "input", "off"]
LEVELS: tuple[Verify, ...] = ("all", "input", "off")


def written(
    bundle: dict[str, Json], verify: Verify, before: Iterable[Issue] = (), tick: Tick = None
) -> dict[str, Json]:
    """The Bundle, if it keeps to R4; a broken rule in what we write is our bug, and it does not leave.

    ``before`` is what `received` found in the document that the facts were written onto: its sender's, and there still.
    """
    if verify == "all":
        issues = [issue for issue in check(bundle, tick) if issue.level == "error"]
        faults = Counter(map(_fault, issues)) - Counter(map(_fault, before))
        of_case = [issue for issue in issues if issue.rule in OF_THE_CASE and _fault(issue) in faults]
        if of_case and {i.rule for i in of_case} >= {fault.partition(" ")[0] for fault in faults}:
            raise MappingError(of_case)
        if faults:
            raise MappingError(Issue("bug", f"What was to be written breaks FHIR R4: {', '.join(sorted(faults)[:5])}."))
    return bundle


#: Rules about codes and systems, which a case brings along as they are: the case's fault, not ours.
OF_THE_CASE = ("code", "ucum", "urn-uuid", "urn-oid", "absolute-uri")
_INDEX = re.compile(r"\[[0-9]+\]")


def _fault(issue: Issue) -> str:
    """A fault by its rule and its place, whichever entry it is in."""
    return f"{issue.rule} at {_INDEX.sub('', issue.path)}"


def received(document: Json, verify: Verify, strict: bool = False, tick: Tick = None) -> list[Issue]:
    """What of a received document breaks R4; nothing is refused for it but by ``strict``."""
    found = check(document, tick) if verify != "off" and isinstance(document, dict) else []
    if strict and any(issue.level == "error" for issue in found):
        raise MappingError(found)
    return found


def findings(raw: bytes, models: bool = False, tick: Tick = None) -> list[Issue]:
    """Everything wrong with one text: a FHIR resource, a Bundle, NDJSON of resources, or a case.

    ``tick`` is called once an entry or line, and may raise to end the work.
    """
    lines = _lines(raw)
    if len(lines) < 2:
        return _of_one(raw, models, tick)
    found: list[Issue] = []
    for number, line in lines:
        if tick is not None:
            tick()
        found += [_on_line(issue, number) for issue in _of_one(line, models, tick)]
    return found


def _lines(raw: bytes) -> list[tuple[int, bytes]]:
    """The lines of NDJSON with their numbers; one document is one."""
    lines = [(n, line) for n, line in enumerate(raw.split(b"\n"), 1) if line.strip()]
    objects = all(line.strip()[:1] == b"{" and line.strip()[-1:] == b"}" for _, line in lines)
    return lines if len(lines) > 1 and objects else [(1, raw)]


def _on_line(issue: Issue, number: int) -> Issue:
    return replace(issue, path=f"line {number}: {issue.path}".rstrip(": "))


def _of_one(raw: bytes, models: bool, tick: Tick) -> list[Issue]:
    try:
        document = decode(raw)
    except MappingError as error:
        return list(error.issues)
    if isinstance(document, dict) and "resourceType" not in document and "case_id" in document:
        return list(_case_issues(document))
    found = check(document, tick)
    return found + list(_second_opinion(document)) if models else found


def _case_issues(document: dict[str, Any]) -> Iterator[Issue]:
    try:
        load_case(document)
    except MappingError as error:
        yield from error.issues


def _second_opinion(document: Json) -> Iterator[Issue]:
    """What fhir.resources (R4B models) says: names of elements only, its own texts quote values."""
    from fhir.resources.R4B import get_fhir_model_class
    from pydantic import ValidationError

    try:
        model = get_fhir_model_class(document.get("resourceType") if isinstance(document, dict) else None)
        model.model_validate_json(encode(document))
    except ValidationError as error:
        for fault in error.errors(include_input=False, include_url=False):
            where = "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in fault["loc"])
            yield Issue("r4", "fhir.resources does not accept the element.", path=where.lstrip("."), rule="models")
    except (KeyError, LookupError, TypeError, ValueError):
        yield Issue("r4", "fhir.resources has no such resource.", path="resourceType", rule="models")
