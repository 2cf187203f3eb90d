"""The invariants of R4 as small predicates by id: true where the element keeps the rule.

A predicate may expect sound shapes: where an element has another fault, `objects` runs it guarded. The
expressions that they say are in ``rules.json.gz``. Invariants that need more than their element are
checked elsewhere (`ELSEWHERE`).
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import date
from decimal import Decimal

from adapter.r4.faults import Json
from adapter.r4.primitives import ABSOLUTE
from adapter.r4.rules import UCUM
from adapter.r4.ucum import is_time

Predicate = Callable[[Json], bool]

#: Invariants that are checked where their context is known, and where that is.
ELSEWHERE = {
    "ele-1": "objects",
    "ext-1": "extensions",
    "ref-1": "references",
    **dict.fromkeys(("txt-1", "txt-2"), "narrative"),
    **dict.fromkeys(("dom-2", "dom-3", "dom-4", "dom-5"), "contained"),
    **dict.fromkeys((f"bdl-{number}" for number in (1, 2, 3, 4, 7, 8, 9, 10, 11, 12)), "bundle"),
}
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
CATEGORY = "http://terminology.hl7.org/CodeSystem/condition-category"
MOMENT = re.compile(
    r"(\d{4})(?:-(\d\d))?(?:-(\d\d))?(?:T(\d\d):(\d\d):(\d\d)(\.\d+)?(Z|([+-])(\d\d):(\d\d)))?",
    re.ASCII,
)
NAME = r"[^\s.,:;'\"/|?!@#$%&*()\[\]{}]{1,64}"
PATH = re.compile(rf"{NAME}(?:\.{NAME}(?:\[x\])?(?::[^\s.]+)?)*")
BOUND = {"code", "Coding", "CodeableConcept", "Quantity", "string", "uri"}
TYPELESS = ("type", "default", "fixed", "pattern", "example", "minValue", "maxValue", "maxLength", "binding")


def has(element: Json, name: str) -> bool:
    """Say whether an element has a member, be it only by a sibling ``_name``."""
    return name in element or "_" + name in element


def one_of(element: Json, *names: str) -> bool:
    """Say whether an element has one of the members, be it only by a sibling ``_name``."""
    return any(name in element or "_" + name in element for name in names)


def choice(element: Json, stem: str) -> bool:
    """Say whether an element has a member of a choice such as ``value[x]``."""
    size = len(stem)
    return any(name[:size] == stem and name[size : size + 1].isupper() for name in (key.lstrip("_") for key in element))


def coded(concept: Json, system: str, *codes: str) -> bool:
    """Say whether a concept has one of the codes."""
    return any(c.get("system") == system and c.get("code") in codes for c in (concept or {}).get("coding", ()))


#: The days before and after those that Python has, where an offset may lead in UTC.
LAST = date.max.toordinal()
BEYOND = {0: [0, 12, 31], LAST + 1: [10000, 1, 1]}


def moment(value: str) -> tuple[list[int], Decimal]:
    """Take a date apart, or a time as year, month, day and second in UTC, and its fraction of a second."""
    found = MOMENT.fullmatch(value)
    if found is None:
        raise ValueError("no date")
    day = [int(part) for part in found.group(1, 2, 3) if part]
    if found[4] is None:
        return day, Decimal(0)
    away = 0 if found[8] == "Z" else (int(found[10]) * 60 + int(found[11])) * (-60 if found[9] == "+" else 60)
    second = int(found[4]) * 3600 + int(found[5]) * 60 + int(found[6]) + away
    shifted = min(max(0, date(*day).toordinal() + second // 86400), LAST + 1)
    utc = BEYOND.get(shifted) or list(date.fromordinal(shifted).timetuple()[:3])
    return [*utc, second % 86400], Decimal("0" + (found[7] or ""))


def ordered(start: str, end: str) -> bool | None:
    """Say whether a start is not after its end; None where their precision leaves it open."""
    if start == end or (len(start) == len(end) == 10 and start < end):
        return True
    (first, part), (last, rest) = moment(start), moment(end)
    shared = min(len(first), len(last))
    if first[:shared] != last[:shared]:
        return first[:shared] < last[:shared]
    return part <= rest if len(first) == len(last) else None


def low_to_high(low: Json, high: Json) -> bool:
    """Compare the ends of a Range; ends in two UCUM units are left open."""
    unit, other = (end.get("code") or end.get("unit") for end in (low, high))
    if unit != other or "value" not in low or "value" not in high:
        return low.get("system") == high.get("system") == UCUM and "value" in low and "value" in high
    return bool(low["value"] <= high["value"])


def ucum_value(quantity: Json) -> bool:
    """Say whether a measure of time or length has a code where it has a value, and only UCUM."""
    return ("code" in quantity or "value" not in quantity) and quantity.get("system", UCUM) == UCUM


def time_unit(quantity: Json) -> bool:
    """Say whether the unit, if there is one, is one of time."""
    return "code" not in quantity or is_time(quantity["code"])


def same_code(observation: Json) -> bool:
    """Say whether a component repeats a coding of the observation that has a value itself (obs-7)."""
    own = {frozenset(c.items()) for c in observation["code"].get("coding", ()) if "extension" not in c}
    return any(
        frozenset(c.items()) in own
        for part in observation["component"]
        for c in part["code"].get("coding", ())
        if "extension" not in c
    )


def hash_fits(attachment: Json) -> bool:
    """Say whether an attachment's hash is the SHA-1 of its data."""
    digest = hashlib.sha1(b64decode(attachment["data"]), usedforsecurity=False).digest()
    return b64encode(digest).decode() == "".join(attachment["hash"].split())


def labels_differ(labels: Json) -> bool:
    """Say whether no two security labels are the same."""
    return len(labels) == 1 or len({(label.get("system"), label.get("code")) for label in labels}) == len(labels)


def distinct(elements: Json, name: str) -> bool:
    """Say whether no two elements have the same member."""
    named = [element[name] for element in elements if name in element]
    return len(named) == len(set(named))


def when_is_meal(repeat: Json) -> bool:
    """Say whether ``when`` is a meal itself, which an offset does not go with (tim-9)."""
    return any(code in ("C", "CM", "CD", "CV") for code in repeat["when"])


INVARIANTS: dict[str, Predicate] = {
    # datatypes
    "age-1": lambda o: ucum_value(o) and ("value" not in o or o["value"] > 0) and time_unit(o),
    "att-1": lambda o: not has(o, "data") or has(o, "contentType"),
    "cnt-3": lambda o: ucum_value(o) and o.get("code", "1") == "1" and "." not in str(o.get("value", "")),
    "cpt-2": lambda o: not has(o, "value") or has(o, "system"),
    "dis-1": lambda o: ucum_value(o) and not ("code" in o and is_time(o["code"])),
    "drq-1": lambda o: has(o, "path") != has(o, "searchParam"),
    "drq-2": lambda o: has(o, "path") != has(o, "searchParam"),
    "drt-1": lambda o: not has(o, "code") or (o.get("system") == UCUM and has(o, "value") and time_unit(o)),
    "exp-1": lambda o: one_of(o, "expression", "reference"),
    "per-1": lambda o: "start" not in o or "end" not in o or ordered(o["start"], o["end"]) is True,
    "qty-3": lambda o: "code" not in o or has(o, "system"),
    "rat-1": lambda o: has(o, "numerator") == has(o, "denominator") and one_of(o, "numerator", "extension"),
    "rng-2": lambda o: "low" not in o or "high" not in o or low_to_high(o["low"], o["high"]),
    "sqty-1": lambda o: not has(o, "comparator"),
    "tim-1": lambda o: not has(o, "duration") or has(o, "durationUnit"),
    "tim-2": lambda o: not has(o, "period") or has(o, "periodUnit"),
    "tim-4": lambda o: o.get("duration", 0) >= 0,
    "tim-5": lambda o: o.get("period", 0) >= 0,
    "tim-6": lambda o: not has(o, "periodMax") or has(o, "period"),
    "tim-7": lambda o: not has(o, "durationMax") or has(o, "duration"),
    "tim-8": lambda o: not has(o, "countMax") or has(o, "count"),
    "tim-9": lambda o: not has(o, "offset") or (has(o, "when") and not when_is_meal(o)),
    "tim-10": lambda o: not has(o, "timeOfDay") or not has(o, "when"),
    "trd-1": lambda o: not has(o, "data") or not choice(o, "timing"),
    "trd-2": lambda o: not has(o, "condition") or has(o, "data"),
    "trd-3": lambda o: (
        (o["type"] != "named-event" or has(o, "name"))
        and (o["type"] != "periodic" or choice(o, "timing"))
        and (not o["type"].startswith("data-") or has(o, "data"))
    ),
    "eld-1": lambda o: one_of(o, "discriminator", "description"),
    "eld-2": lambda o: "min" not in o or o.get("max", "*") == "*" or o["min"] <= int(o["max"]),
    "eld-3": lambda o: o == "*" or o.isdigit(),
    "eld-4": lambda o: not has(o, "aggregation") or o.get("code") in ("Reference", "canonical"),
    "eld-5": lambda o: not has(o, "contentReference") or not any(has(o, n) or choice(o, n) for n in TYPELESS),
    "eld-6": lambda o: not choice(o, "fixed") or len(o.get("type", ())) <= 1,
    "eld-7": lambda o: not choice(o, "pattern") or len(o.get("type", ())) <= 1,
    "eld-8": lambda o: not choice(o, "pattern") or not choice(o, "fixed"),
    "eld-11": lambda o: not has(o, "binding") or not o.get("type") or any(t.get("code") in BOUND for t in o["type"]),
    "eld-12": lambda o: o.get("valueSet", "http:").startswith(("http:", "https", "urn:")),
    "eld-13": lambda o: distinct(o.get("type", ()), "code"),
    "eld-14": lambda o: distinct(o.get("constraint", ()), "key"),
    "eld-15": lambda o: not choice(o, "defaultValue") or not has(o, "meaningWhenMissing"),
    "eld-16": lambda o: re.fullmatch(r"[a-zA-Z0-9/\-_\[\]@]+", o.get("sliceName", "x")) is not None,
    "eld-17": lambda o: not has(o, "targetProfile") or o.get("code") in ("Reference", "canonical"),
    "eld-18": lambda o: o.get("isModifier") is not True or has(o, "isModifierReason"),
    "eld-19": lambda o: PATH.fullmatch(o["path"]) is not None,
    "eld-20": lambda o: re.fullmatch(r"[A-Za-z][A-Za-z0-9]*(\.[a-z][A-Za-z0-9]*(\[x])?)*", o["path"]) is not None,
    "eld-21": lambda o: has(o, "expression"),
    "eld-22": lambda o: not has(o, "sliceIsConstraining") or has(o, "sliceName"),
    # resources
    "bdl-5": lambda o: one_of(o, "resource", "request", "response"),
    "cmp-1": lambda o: one_of(o, "text", "entry", "section"),
    "cmp-2": lambda o: not has(o, "emptyReason") or not has(o, "entry"),
    "con-1": lambda o: one_of(o, "summary", "assessment"),
    "con-2": lambda o: one_of(o, "code", "detail"),
    # the official text compares a concept with a string; this is what it means
    "con-3": lambda o: (
        has(o, "clinicalStatus")
        or coded(o.get("verificationStatus"), VERIFICATION, "entered-in-error")
        or not any(coded(c, CATEGORY, "problem-list-item") for c in o.get("category", ()))
    ),
    "con-4": lambda o: (
        not choice(o, "abatement") or coded(o.get("clinicalStatus"), CLINICAL, "resolved", "remission", "inactive")
    ),
    "con-5": lambda o: (
        not has(o, "clinicalStatus") or not coded(o.get("verificationStatus"), VERIFICATION, "entered-in-error")
    ),
    "dom-6": lambda o: "text" in o and "div" in o["text"],
    "grp-1": lambda o: "member" not in o or o["actual"] is True,
    "lst-1": lambda o: not has(o, "emptyReason") or not has(o, "entry"),
    "lst-2": lambda o: o.get("mode") == "changes" or not any(has(e, "deleted") for e in o.get("entry", ())),
    "lst-3": lambda o: o.get("mode") == "working" or not any(has(e, "date") for e in o.get("entry", ())),
    "mad-1": lambda o: has(o, "dose") or choice(o, "rate"),
    "obs-3": lambda o: one_of(o, "low", "high", "text"),
    "obs-6": lambda o: "dataAbsentReason" not in o or not choice(o, "value"),
    "obs-7": lambda o: "component" not in o or not choice(o, "value") or not same_code(o),
    "pat-1": lambda o: one_of(o, "name", "telecom", "address", "organization"),
}

#: Rules of R4's text that have no invariant id: type -> key in ``texts.tsv``, predicate.
TEXT_RULES: dict[str, list[tuple[str, Predicate]]] = {
    "Attachment": [("attachment-hash", lambda o: "hash" not in o or "data" not in o or hash_fits(o))],
    "Meta": [("duplicate-label", lambda o: "security" not in o or labels_differ(o["security"]))],
    "Identifier": [
        ("absolute-uri/identifier", lambda o: ABSOLUTE.match(o.get("system", "urn:")) is not None),
        ("absolute-uri/value", lambda o: o.get("system") != "urn:ietf:rfc:3986" or ":" in o.get("value", ":")),
    ],
}
