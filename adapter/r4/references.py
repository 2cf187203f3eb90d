"""References: their form, what they lead to inside the Bundle or contained, and whether that is allowed."""

from __future__ import annotations

import re

from adapter.r4.faults import Check, Faults, Json, Rule, Run, at
from adapter.r4.primitives import ABSOLUTE, uri
from adapter.r4.rules import table

ID = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)


def target_of(reference: str) -> str:
    """Name the resource type that a RESTful reference states; empty where it states none."""
    steps = reference.partition("/_history/")[0].rsplit("/", 2)
    if len(steps) < 2 or steps[-2] not in table().resources or not ID.fullmatch(steps[-1]):
        return ""
    return steps[-2] if len(steps) == 2 or "://" in steps[0] else ""


def reference_rule(targets: frozenset[str]) -> Rule:
    """Make the rule of a Reference element that may lead to the given types; to any where there are none."""
    wanted = ", ".join(sorted(targets))

    def rule(value: Json, run: Run) -> Faults:
        reference, said = value.get("reference"), value.get("type")
        kind = ""
        faults: Faults = []
        if reference is not None:
            kind, faults = resolve(reference, run)
            note_link(reference, run)
            if kind and targets and kind not in targets:
                faults += at(run.fault("reference-type/leads", kind, expected=wanted), "reference")
        if said is not None and kind and said != kind:
            faults += at(run.fault("reference-type/says", kind), "type")
        elif said in table().resources and targets and said not in targets:
            faults += at(run.fault("reference-type/stated", said, expected=wanted), "type")
        return faults

    return rule


def remembered_reference(check: Check, targets: frozenset[str]) -> Check:
    """Check a plain Reference by what the run knows of it already."""

    def check_reference(value: Json, run: Run) -> Faults | None:
        if type(value) is dict and len(value) == 1:
            reference = value.get("reference")
            if type(reference) is str:
                kind = run.kinds.get(reference)
                if kind is not None and (not kind or not targets or kind in targets):
                    note_link(reference, run)
                    return None
        return check(value, run)

    return check_reference


def note_link(reference: str, run: Run) -> None:
    """Note a reference of a document's entry."""
    if run.bundle is not None and run.bundle.links is not None:
        run.bundle.links.append(reference)


def resolve(reference: str, run: Run) -> tuple[str, Faults]:
    """Find the type that a reference leads to, and what is wrong with the reference itself."""
    if reference[:1] == "#":
        return local(reference[1:], run)
    scope = run.bundle
    full = scope.find(run.base, reference) if scope is not None else None
    kind = target_of(reference) if full is None else scope.urls[full]
    faults: Faults = []
    if full is None:
        faults = form(reference, kind, run) or (scope.missing(reference, kind, run) if scope is not None else [])
    if not faults and not run.inside and reference.isprintable() and reference == reference.strip():
        run.kinds[reference] = kind
    return kind, at(faults, "reference")


def form(reference: str, kind: str, run: Run) -> Faults:
    """Check the form of a reference that is not to a contained resource."""
    if reference.split() != [reference]:
        return run.fault("reference/space")
    if kind or ABSOLUTE.match(reference):
        return (uri(reference, run) if reference.startswith("urn:") else None) or []
    head, query, _ = reference.partition("?")
    free = run.bundle is None or run.bundle.kind in ("transaction", "batch")
    return [] if query and free and head in table().resources else run.fault("reference/form")


def local(ident: str, run: Run) -> tuple[str, Faults]:
    """Resolve a reference to a contained resource, or from there to its container (ref-1)."""
    if not ident and run.inside:
        return run.owner, []
    if ident in run.contained:
        return run.contained[ident], []
    return "", at(run.fault("ref-1"), "reference")
