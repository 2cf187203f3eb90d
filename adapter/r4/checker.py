"""The checker: `check` says everything that is wrong with a resource, against the rules of FHIR R4 4.0.1."""

from __future__ import annotations

from collections.abc import Callable

from adapter.r4.faults import DEEPEST, MOST, UNLISTED, Json, Run, printable
from adapter.r4.plans import resource_check
from mappings.report import Issue

RESOURCE = resource_check(inside=False)


def check(document: Json, tick: Callable[[], None] | None = None) -> list[Issue]:
    """Check one resource, a Bundle too, as plain JSON: dicts, lists, str, bool, int, Decimal, None.

    Every problem at once; an empty list says that no rule is broken. Nothing is raised, whatever the
    input; nothing of the input is changed, or quoted but names of elements, codes and units. ``tick``
    is called once an entry, and may raise to end the work.
    """
    run = Run(tick)
    kind = document.get("resourceType") if isinstance(document, dict) else None
    root = printable(kind) if isinstance(kind, str) else "Resource"
    try:
        faults = RESOURCE(document, run) or []
    except RecursionError:  # the caller's own stack was nearly full
        faults = Run().fault("depth", DEEPEST)
    listed = [fault for fault in faults if fault is not UNLISTED] + [UNLISTED] * (run.count > MOST)
    return [fault.issue(root) for fault in listed]
