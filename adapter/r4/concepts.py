"""Codes: Coding, CodeableConcept and Quantity against complete HL7 code systems, UCUM and bound value sets."""

from __future__ import annotations

from adapter.r4.faults import Check, Faults, Json, Run, at, join, quoted
from adapter.r4.primitives import ABSOLUTE, decimal
from adapter.r4.primitives import code as code_check
from adapter.r4.rules import UCUM, ValueSet, same, table
from adapter.r4.ucum import valid

#: The most rare units that one run looks at; each costs a third of a millisecond.
UNITS = 1000


def coding(value: Json, run: Run) -> Faults | None:
    """Check the code of a Coding or Quantity against its system, where that is known."""
    system, code = value.get("system"), value.get("code")
    known = table().systems.get(system)
    if known is not None:
        if code in known or ("/v2-" in system and same(code, known)):
            return None
        return run.fault("no-code") if code is None else at(run.fault("code", quoted(code), system), "code")
    if system == UCUM:
        return None if code is None else unit(code, run)
    if system is not None:
        return None if ABSOLUTE.match(system) else at(run.fault("absolute-uri/system"), "system")
    return None if code is None or "value" in value or "unit" in value else run.fault("no-system")


def unit(code: str, run: Run) -> Faults | None:
    """Check a UCUM code."""
    if code not in table().ucum:
        run.units.add(code)
        if len(run.units) > UNITS:
            return run.fault("ucum/many")
    if not valid(code):
        return at(run.fault("ucum", quoted(code)), "code")
    return at(run.fault("ucum-annotation", quoted(code)), "code") if "{" in code else None


def remembered_coding(check: Check) -> Check:
    """Check a Coding of system, code and perhaps display once a run: most of them come again and again."""

    def check_coding(value: Json, run: Run) -> Faults | None:
        try:
            key = value["system"], value["code"], value.get("display")
            plain = len(value) == 3 - (key[2] is None)
            if plain and key in run.sound:
                return None
        except (TypeError, KeyError):
            return check(value, run)
        found = check(value, run)
        if plain and not found:
            run.sound.add(key)
        return found

    return check_coding


def remembered_quantity(check: Check) -> Check:
    """Check the unit, system and code of a plain Quantity once a run, its value each time."""

    def check_quantity(value: Json, run: Run) -> Faults | None:
        try:
            key = 0, value["unit"], value["system"], value["code"]
            plain = len(value) == 4 and "value" in value
            if plain and key in run.sound and decimal(value["value"], run) is None:
                return None
        except (TypeError, KeyError):
            return check(value, run)
        found = check(value, run)
        if plain and not found:
            run.sound.add(key)
        return found

    return check_quantity


def bound(found: ValueSet, required: bool, kind: str, check: Check) -> Check:
    """Add a binding to the check of a coded element."""
    if kind == "CodeableConcept":
        return bound_concept(found, required, check)
    if kind == "Coding":
        return bound_coding(found, required, check)
    return bound_code(found, required) if kind in ("code", "uri", "string") else check


def bound_code(found: ValueSet, required: bool) -> Check:
    """Make the check of a bound ``code``."""
    codes = found.codes

    def check(value: Json, run: Run) -> Faults | None:
        if type(value) is str and value in codes:
            return None
        return code_check(value, run) or outside(found, "binding/code" if required else "", value, run)

    return check


def bound_coding(found: ValueSet, required: bool, coding_check: Check) -> Check:
    """Make the check of a bound Coding."""

    def check(value: Json, run: Run) -> Faults | None:
        faults = coding_check(value, run)
        if faults or found.holds(value.get("system"), value.get("code")) or not ("code" in value or required):
            return faults
        return outside(found, "binding/code" if required else "", value.get("code"), run)

    return check


def bound_concept(found: ValueSet, required: bool, concept_check: Check) -> Check:
    """Make the check of a bound CodeableConcept: one coding has to be in the set."""
    holds = found.holds

    def check(value: Json, run: Run) -> Faults | None:
        faults = concept_check(value, run)
        codings = value.get("coding") if type(value) is dict else None
        for one in codings if type(codings) is list else ():
            if type(one) is dict and holds(one.get("system"), one.get("code")):
                return faults
        if faults and not required:
            return faults
        return join(faults, outside(found, "binding/concept" if required else "", None, run))

    return check


def outside(found: ValueSet, key: str, code: Json, run: Run) -> Faults:
    """Say that a code is not in a bound value set."""
    return run.fault(key or "binding/extensible", quoted(code), found.name, expected=found.sample())
