"""The vital-signs profiles that a LOINC code pulls in, from R4's own profile definitions."""

from __future__ import annotations

from adapter.r4.faults import Faults, Json, Run, at, item
from adapter.r4.invariants import choice, coded
from adapter.r4.rules import LOINC, UCUM, table

CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
SHOWN = "value.ofType(Quantity)"
#: An element without a value is there by its extension: why there is no time is said by one.
EFFECTIVE = {"effectiveDateTime", "_effectiveDateTime", "effectivePeriod"}


def vital_signs(observation: Json, run: Run) -> Faults:
    """Check an Observation against the vital-signs profiles of its LOINC codes."""
    faults: Faults = []
    codes = [one.get("code") for one in observation["code"].get("coding", ()) if one.get("system") == LOINC]
    for code in dict.fromkeys(codes):
        profile = table().vitals.get(code)
        if profile is not None:
            faults += general(observation, profile, run) + value(observation, profile, run)
            faults += components(observation, profile, run)
            if codes.count(code) > 1:
                faults += at(run.fault("vital-signs/code", profile["profile"]), "code")
    return faults


def general(observation: Json, profile: Json, run: Run) -> Faults:
    """Check what every vital sign needs."""
    name, faults = profile["profile"], []
    if sum(coded(category, CATEGORY, "vital-signs") for category in observation.get("category", ())) != 1:
        faults += run.fault("vital-signs/category", name)
    if "subject" not in observation:
        faults += run.fault("vital-signs/subject", name)
    if len(observation.get("effectiveDateTime", "to the day")) < 8:
        faults += at(run.fault("vital-signs/precision", name), "effectiveDateTime", "effective.ofType(dateTime)")
    if not EFFECTIVE & observation.keys():
        faults += run.fault("vital-signs/effective", name)
    return faults


def value(observation: Json, profile: Json, run: Run) -> Faults:
    """Check the value: its presence (vs-2), its type and unit."""
    name = profile["profile"]
    if choice(observation, "value"):
        if profile["value"] < 0:
            return run.fault("vital-signs/no-value", name)
        if "valueQuantity" not in observation:
            return run.fault("vital-signs/quantity", name) if profile["units"] else []
        found = quantity(observation["valueQuantity"], profile, profile["units"], run)
        return at(found, "valueQuantity", SHOWN)
    if not {"component", "hasMember", "dataAbsentReason"} & observation.keys():
        return run.fault("vital-signs/value", name)
    return run.fault("vital-signs/members", name) if profile["members"] and "hasMember" not in observation else []


def quantity(found: Json, profile: Json, units: list[str], run: Run) -> Faults:
    """Check a quantity: all four members, and a unit of the profile."""
    if units and not found.keys() >= {"value", "unit", "system", "code"}:
        return run.fault("vital-signs/quantity", profile["profile"])
    if units and (found["system"] != UCUM or found["code"] not in units):
        return run.fault("vital-signs/unit", profile["profile"], expected=" or ".join(units))
    return []


def components(observation: Json, profile: Json, run: Run) -> Faults:
    """Check the components: each with a value or a reason (vs-3), and those that the profile names."""
    name, faults = profile["profile"], []
    standing = dict.fromkeys(profile["parts"], 0)
    for number, part in enumerate(observation.get("component", ())):
        found: Faults = []
        if not choice(part, "value") and "dataAbsentReason" not in part:
            found += run.fault("vital-signs/value", name)
        for one in part["code"].get("coding", ()):
            code = one.get("code") if one.get("system") == LOINC else None
            if code in standing:
                standing[code] += 1
                if "valueQuantity" in part:
                    unit = quantity(part["valueQuantity"], profile, profile["parts"][code], run)
                    found += at(unit, "valueQuantity", SHOWN)
        faults += at(item(found, number), "component")
    for code, count in standing.items():
        if count != 1:
            faults += run.fault("vital-signs/component", name, code)
    return faults
