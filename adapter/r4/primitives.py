"""Primitive values as JSON: type, pattern, range. Patterns are the official ones, matched in ASCII mode."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal

from adapter.r4.faults import Check, Faults, Json, Run

LONGEST = 1024 * 1024
UUID = re.compile("urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
OID = re.compile(r"urn:oid:[0-2](\.(0|[1-9][0-9]*))+", re.ASCII)
#: How URIs start that have a form of their own.
SPECIAL = frozenset(["urn:", "uuid", "oid:"])
ABSOLUTE = re.compile("[a-z][a-z0-9+.-]*:", re.ASCII)
LANGUAGE = re.compile("[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*", re.ASCII)
BASE64 = re.compile("[A-Za-z0-9+/]*={0,2}", re.ASCII)
#: Characters below U+0020 but tab and line ends, and halves of surrogate pairs.
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
RANGES = {"integer": (-(2**31), 2**31 - 1), "unsignedInt": (0, 2**31 - 1), "positiveInt": (1, 2**31 - 1)}
#: Digits and exponents beyond these are no measurement; nobody can be expected to keep them.
MOST_DIGITS, LARGEST = 100, 10**100
#: The digits that receivers can be relied on to keep (FHIR, decimal).
DIGITS, USUAL = 18, 10**18


JSON_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "a boolean"),
    (str, "a string"),
    (int, "a number"),
    (Decimal, "a number"),
    (list, "an array"),
    (dict, "an object"),
)


def wrong_type(value: Json, run: Run, wanted: str) -> Faults:
    """Say that a value has the wrong JSON type."""
    if value is None:
        return run.fault("type/absent", wanted)
    if isinstance(value, float):
        return run.fault("type/float", wanted)
    named = next((name for kind, name in JSON_TYPES if isinstance(value, kind)), "no JSON value")
    return run.fault("type/other", wanted, named)


def text_fault(value: Json, run: Run, wanted: str = "a string") -> Faults | None:
    """Say what is wrong with a text; nothing may be."""
    if type(value) is not str:
        return wrong_type(value, run, wanted)
    if not value:
        return run.fault("pattern/empty", wanted)
    if len(value) > LONGEST:
        return run.fault("pattern/long")
    if FORBIDDEN.search(value):
        return run.fault("pattern/control")
    return run.fault("whitespace") if value != value.strip() else None


def text(value: Json, run: Run) -> Faults | None:
    """Check a ``string`` or ``markdown``."""
    if type(value) is str and 0 < len(value) < LONGEST and value.isprintable() and value == value.strip():
        return None
    return text_fault(value, run)


def boolean(value: Json, run: Run) -> Faults | None:
    """Check a ``boolean``."""
    return None if value is True or value is False else wrong_type(value, run, "true or false")


def decimal(value: Json, run: Run) -> Faults | None:
    """Check a ``decimal``: an int or a finite Decimal, never a float."""
    if type(value) is int:
        if -USUAL < value < USUAL:
            return None
        sound = -LARGEST < value < LARGEST
    elif type(value) is Decimal:
        written = str(value)
        if len(written) <= DIGITS and "E" not in written and value.is_finite():
            return None
        sound = value.is_finite() and -MOST_DIGITS < value.adjusted() < MOST_DIGITS
        if sound and len(value.as_tuple().digits) <= DIGITS:
            return None
    else:
        return wrong_type(value, run, "a number")
    return run.fault("decimal-digits" if sound else "pattern/number")


def integer(name: str) -> Check:
    """Make the check of ``integer``, ``unsignedInt`` or ``positiveInt``."""
    low, high = RANGES[name]

    def check(value: Json, run: Run) -> Faults | None:
        if type(value) is int:
            return None if low <= value <= high else run.fault("pattern/range", low, high)
        return wrong_type(value, run, "a whole number")

    return check


def uri_fault(value: Json, run: Run) -> Faults | None:
    """Say what is wrong with a URI; nothing may be."""
    found = text_fault(value, run, "a URI")
    if found and found[0].key != "whitespace":
        return found
    if value.split() != [value]:
        return run.fault("pattern/space")
    if value.startswith("urn:uuid:") and not UUID.fullmatch(value):
        return run.fault("urn-uuid")
    if value.startswith("urn:oid:") and not OID.fullmatch(value):
        return run.fault("urn-oid")
    return run.fault("pattern/scheme") if value.startswith(("uuid:", "oid:")) else None


def uri(value: Json, run: Run) -> Faults | None:
    """Check a ``uri`` or ``url``."""
    plain = type(value) is str and value and value.isprintable() and " " not in value
    if plain and (value[:4] not in SPECIAL or UUID.fullmatch(value)):
        return None
    return uri_fault(value, run)


def canonical(value: Json, run: Run) -> Faults | None:
    """Check a ``canonical``: absolute, or a fragment for a contained resource."""
    found = uri(value, run)
    if found or value[:4] == "http" or value[:1] == "#" or ABSOLUTE.match(value):
        return found
    return run.fault("absolute-uri/canonical")


def base64(value: Json, run: Run) -> Faults | None:
    """Check a ``base64Binary`` in linear time: the official pattern backtracks."""
    if type(value) is not str:
        return wrong_type(value, run, "a string")
    groups = value.split()
    if not groups or any(len(group) % 4 for group in groups) or not BASE64.fullmatch("".join(groups)):
        return run.fault("pattern/base64")
    return run.fault("whitespace") if groups != [value] else None


def calendar(value: str) -> bool:
    """Say whether the day of a date exists in its month."""
    if value[8:10] <= "28":
        return True
    try:
        date(int(value[:4]), int(value[5:7]), int(value[8:10]))
    except ValueError:
        return False
    return True


def matching(name: str, pattern: str) -> Check:
    """Make the check of a primitive type that has an official pattern."""
    fits = re.compile(re.sub(r"(?<!\\)\((?!\?)", "(?:", pattern), re.ASCII).fullmatch
    exists: Callable[[str], bool] = calendar if name in ("date", "dateTime", "instant") else bool

    def check(value: Json, run: Run) -> Faults | None:
        if type(value) is str:
            return None if fits(value) and exists(value) else run.fault("pattern/form", name)
        return wrong_type(value, run, f"a {name} as a string")

    return check


def code(value: Json, run: Run) -> Faults | None:
    """Check a ``code``: no white space at its ends, single spaces inside."""
    if type(value) is str and value and value.isprintable() and " " not in value:
        return None
    found = text_fault(value, run, "a code")
    if found and found[0].key != "whitespace":
        return found
    return None if re.fullmatch(r"[^\s]+(\s[^\s]+)*", value, re.ASCII) else run.fault("pattern/code")


def identity(value: Json, run: Run) -> Faults | None:
    """Check an element's id: a string without spaces."""
    if type(value) is str and value.isprintable() and " " not in value and 0 < len(value) <= LONGEST:
        return None
    return text_fault(value, run) or run.fault("pattern/id")


def language(value: Json, run: Run) -> Faults | None:
    """Check a language tag (BCP 47, the shape only)."""
    if type(value) is str and LANGUAGE.fullmatch(value):
        return None
    return code(value, run) or run.fault("binding/language")


def primitives(patterns: dict[str, str], xhtml: Check) -> dict[str, Check]:
    """Make the checks of all primitive types."""
    special: dict[str, Check] = {
        "string": text,
        "markdown": text,
        "boolean": boolean,
        "decimal": decimal,
        "base64Binary": base64,
        "uri": uri,
        "url": uri,
        "canonical": canonical,
        "code": code,
        "xhtml": xhtml,
        **{name: integer(name) for name in RANGES},
    }
    return {name: special.get(name) or matching(name, pattern) for name, pattern in patterns.items()}
