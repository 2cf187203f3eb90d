"""Extensions: ext-1, absolute urls, and the extensions that R4 itself defines.

An extension of R4's own gets a plan of its own: only its value types and sub-extensions are members.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adapter.r4.faults import Check, Faults, Json, Rule, Run, at, item
from adapter.r4.objects import Plan, deeper, many
from adapter.r4.primitives import ABSOLUTE
from adapter.r4.rules import table

#: Makes the checks of an element's members from its row: name, min, many, types, binding.
MakeFields = Callable[[list[Any]], dict[str, Check]]


def exclusive(value: Json, run: Run) -> Faults | None:
    """Check ext-1: a value or extensions, not both, not none."""
    if len(value) == 2 and "extension" not in value:
        return None
    valued = any(key[:5] == "value" or key[:6] == "_value" for key in value)
    return None if valued != ("extension" in value) else run.fault("ext-1")


def absolute(value: Json, run: Run) -> Faults | None:
    """Check that the url of an extension, not of a sub-extension, is absolute."""
    url = value.get("url", "http")
    return None if url[:4] == "http" or ABSOLUTE.match(url) else at(run.fault("extension-url"), "url")


def by_url(general: Check, core: dict[str, Json], make: Callable[[str], Check]) -> Check:
    """Make the check of extensions: one of the core's by its own definition, all others in general."""
    known: dict[str, Check] = {}

    def check(value: Json, run: Run) -> Faults | None:
        url = value.get("url") if type(value) is dict else None
        if type(url) is str and url in core:
            if url not in known:
                known[url] = make(url)
            return known[url](value, run)
        return general(value, run)

    return check


def core_extension(url: str, places: frozenset[str], base: Plan, make: MakeFields) -> Check:
    """Make the check of an extension that R4 defines, at a place."""
    part = table().extensions[url]
    name = url.rpartition("/")[2]
    plan = part_plan(f"The extension {name}", part, base, make)
    if "Element" not in part["on"] and places.isdisjoint(part["on"]):
        wanted = ", ".join(part["on"])
        plan.rules.append(lambda _, run: run.fault("extension-context", name, expected=wanted))
    return plan.ready().check


def part_plan(kind: str, part: Json, base: Plan, make: MakeFields) -> Plan:
    """Make the plan of a known extension, or of a part of one."""
    plan = Plan(kind)
    plan.fields = {name: base.fields[name] for name in ("id", "url", "extension")}
    plan.required, plan.shown, plan.rules = base.required, base.shown, [exclusive]
    fields = base.fields if part["types"] == ["*"] else make(["value[x]", 0, 0, part["types"], part["binding"]])
    values = {name: check for name, check in fields.items() if name.lstrip("_").startswith("value")}
    plan.fields.update(values)
    plan.needed = [("value", 0, frozenset(values))]
    parts = part.get("parts", {})
    if parts:
        made = {url: part_plan(f"{kind}.{url}", child, base, make).ready().check for url, child in parts.items()}
        plan.fields["extension"] = many(deeper(by_url(base.check, parts, made.__getitem__)), primitive=False)
        plan.rules.append(counted(parts))
    return plan


def counted(parts: dict[str, Json]) -> Rule:
    """Make the rule of which sub-extensions stand, and how often."""

    def rule(value: Json, run: Run) -> Faults:
        urls = [one.get("url") for one in value.get("extension", ())]
        faults: Faults = []
        for number, url in enumerate(urls):
            if url not in parts:
                faults += at(item(run.fault("extension-part", expected=", ".join(parts)), number), "extension")
        for url, child in parts.items():
            count = urls.count(url)
            if count < child["min"] or (child["max"] == "1" and count > 1):
                wanted = f"{child['min']} to {child['max']}"
                faults += run.fault("cardinality/part", url, count, expected=wanted)
        return faults

    return rule
