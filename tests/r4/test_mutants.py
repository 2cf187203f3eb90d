"""Single faults in sound resources: each has to be found, by its rule, at its place."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from adapter.r4 import check
from tests.r4.specimens import (
    BASE,
    CORE,
    DIV,
    DROP,
    LOINC,
    SOUND,
    TERMINOLOGY,
    UCUM,
    coded,
    entry,
    patched,
    quantity,
    ref,
    resource,
    urn,
    uuid,
)

Json = Any
TWICE = [{"id": "n1", "text": "a"}, {"id": "n1", "text": "b"}]
NESTED = {"resourceType": "Medication", "id": "drug", "contained": [{"resourceType": "Substance", "id": "s"}]}
ORGANIZATION = resource("Organization", name="o")

#: rule, sound resource, path, value: what is broken and how.
MUTANTS: list[tuple[str, str, str, Json]] = [
    # elements and JSON types
    ("unknown-element", "patient", "colour", "blue"),
    ("unknown-element", "patient", "fhir_comments", ["a"]),
    ("unknown-element", "patient", "name.0.middle", "M"),
    ("unknown-element", "patient", "_name", [{"id": "a"}]),
    ("unknown-element", "observation", "valueMoney", {"value": 1}),
    ("unknown-element", "condition", "onsetdate", "2020"),
    ("unknown-element", "patient", "text.extra", "x"),
    ("unknown-element", "patient", "name.0.resourceType", "HumanName"),
    ("unknown-element", "patient", "text._div", {"id": "a"}),
    ("unknown-element", "group", "member.0.value", 1),
    ("resource-type", "patient", "resourceType", "Pateint"),
    ("resource-type", "patient", "resourceType", DROP),
    ("resource-type", "patient", "resourceType", "DomainResource"),
    ("resource-type", "collection", "entry.0.resource", {}),
    ("type", "patient", "active", "true"),
    ("type", "patient", "active", 1),
    ("type", "patient", "gender", True),
    ("type", "patient", "birthDate", 1960),
    ("type", "patient", "birthDate", None),
    ("type", "patient", "name", {"text": "a"}),
    ("type", "patient", "name.0", "A B"),
    ("type", "patient", "meta", []),
    ("type", "patient", "name.0.family", ["B"]),
    ("type", "patient", "gender", ["male"]),
    ("type", "observation", "valueQuantity.value", "1.80"),
    ("type", "observation", "valueQuantity.value", 1.5),
    ("type", "statement", "dosage.0.timing.repeat.frequency", Decimal(1)),
    ("type", "collection", "entry.0.resource", "Patient"),
    ("type", "patient", "_birthDate", [{"id": "a"}]),
    ("type", "patient", "name.0._given", {"id": "a"}),
    ("type", "patient", "photo.0.data", 5),
    ("ele-1", "patient", "maritalStatus", {}),
    ("ele-1", "patient", "_deceasedBoolean", {"id": "a"}),
    ("ele-1", "patient", "_birthDate", {}),
    ("null", "patient", "name.0._given", DROP),
    ("null", "patient", "name.0.given.2", None),
    # primitive patterns
    ("pattern", "patient", "id", "a_b"),
    ("pattern", "patient", "id", "a" * 65),
    ("pattern", "patient", "id", ""),
    ("pattern", "patient", "gender", " male"),
    ("pattern", "patient", "gender", "male\n"),
    ("pattern", "patient", "name.0.family", ""),
    ("pattern", "patient", "name.0.family", "a\x07"),
    ("pattern", "patient", "name.0.family", "a\ud800"),
    ("whitespace", "patient", "name.0.family", " B"),
    ("whitespace", "patient", "name.0.family", "  "),
    ("pattern", "patient", "birthDate", "1960-2-9"),
    ("pattern", "patient", "birthDate", "1961-02-29"),
    ("pattern", "patient", "birthDate", "0000"),
    ("pattern", "patient", "birthDate", "1960-01-01T00:00:00Z"),
    ("pattern", "patient", "birthDate", "١٩٦٠"),
    ("pattern", "observation", "effectiveDateTime", "2023-06-21T06:20:00"),
    ("pattern", "observation", "effectiveDateTime", "2023-06-21T06:20Z"),
    ("pattern", "observation", "effectiveDateTime", "21.6.23"),
    ("pattern", "observation", "effectiveDateTime", "2023-06-21T24:00:00Z"),
    ("pattern", "document", "timestamp", "2023-06-21"),
    ("pattern", "observation", "component.0.valueTime", "6:20"),
    ("pattern", "patient", "photo.0.data", "aGVsbG8"),
    ("pattern", "patient", "photo.0.data", "a==="),
    ("whitespace", "patient", "photo.0.data", "aGVs bG8="),
    ("pattern", "patient", "telecom.0.rank", 0),
    ("pattern", "patient", "telecom.0.rank", 2**31),
    ("pattern", "observation", "valueQuantity.value", Decimal("NaN")),
    ("pattern", "observation", "valueQuantity.value", 10**5000),
    ("decimal-digits", "observation", "valueQuantity.value", Decimal("1.234567890123456789")),
    ("pattern", "patient", "implicitRules", "http://a b"),
    ("urn-uuid", "patient", "identifier.0.system", "urn:uuid:A"),
    ("urn-oid", "patient", "identifier.0.system", "urn:oid:9.1"),
    ("pattern", "patient", "identifier.0.system", "uuid:1"),
    ("absolute-uri", "patient", "identifier.0.system", "mrn"),
    ("absolute-uri", "patient", "identifier.0.value", "4711"),
    ("absolute-uri", "patient", "meta.profile.0", "smx-patient"),
    ("absolute-uri", "observation", "code.coding.0.system", "loinc"),
    ("binding", "patient", "language", "en_US"),
    ("duplicate-label", "patient", "meta.security.1", {"system": TERMINOLOGY + "v3-ActReason", "code": "HTEST"}),
    ("duplicate-id", "patient", "name", TWICE),
    # cardinality and choice
    ("cardinality", "observation", "status", DROP),
    ("cardinality", "observation", "code", DROP),
    ("cardinality", "patient", "name", []),
    ("cardinality", "statement", "medicationReference", DROP),
    ("cardinality", "provenance", "target", []),
    ("cardinality", "composition", "author", DROP),
    ("cardinality", "patient", "text.div", DROP),
    ("cardinality", "patient", "extension.0.url", DROP),
    ("choice", "observation", "valueString", "x"),
    ("choice", "observation", "effectivePeriod", {"start": "2023"}),
    ("choice", "observation", "_valueString", {"id": "a"}),
    ("choice", "statement", "medicationCodeableConcept", {"text": "a"}),
    ("choice", "patient", "extension.0.valueCode", "x"),
    # codes
    ("binding", "patient", "gender", "bogus"),
    ("binding", "observation", "status", "FINAL"),
    ("binding", "encounter", "status", "final"),
    ("binding", "condition", "clinicalStatus", {"text": "active"}),
    ("binding", "condition", "clinicalStatus.coding.0.system", DROP),
    ("binding", "condition", "verificationStatus", coded(TERMINOLOGY + "condition-clinical", "active")),
    ("code", "condition", "clinicalStatus.coding.0.code", "bogus"),
    ("code", "patient", "meta.security.0.code", "HTESTX"),
    ("code", "observation", "category.0.coding.0.code", "lab"),
    ("code", "observation", "category.0.coding.0.code", "Laboratory"),
    ("code", "observation", "method", coded(TERMINOLOGY + "v3-ActCode", "bogus")),
    ("code", "observation", "valueQuantity.system", TERMINOLOGY + "v3-orderableDrugForm"),
    (
        "code",
        "patient",
        "extension.0",
        {"url": "http://a.b/c", "valueCoding": {"system": TERMINOLOGY + "v2-0203", "code": "ZZZ"}},
    ),
    ("binding", "observation", "interpretation.0", {"text": "high"}),
    ("binding", "encounter", "class", {"system": LOINC, "code": "1"}),
    ("no-system", "observation", "code.coding.0.system", DROP),
    ("no-code", "observation", "category.0.coding.0.code", DROP),
    ("binding", "observation", "valueQuantity.comparator", "<<"),
    ("binding", "statement", "dosage.0.timing.repeat.periodUnit", "week"),
    # quantities, periods, ranges
    ("qty-3", "observation", "valueQuantity.system", DROP),
    ("ucum", "observation", "valueQuantity.code", "gramm"),
    ("ucum", "observation", "valueQuantity.code", "MMHG"),
    ("ucum", "observation", "method", coded(UCUM, "foo")),
    ("ucum", "observation", "valueQuantity.code", "g" * 5000),
    ("ucum-annotation", "observation", "valueQuantity.code", "{score}"),
    ("sqty-1", "observation", "referenceRange.0.low.comparator", "<"),
    ("rng-2", "observation", "component.0.valueRange", {"low": quantity("2", "mm"), "high": quantity("1", "mm")}),
    ("rng-2", "observation", "component.0.valueRange", {"low": {"value": 1}, "high": quantity("2", "mm")}),
    ("age-1", "condition", "onsetAge.value", Decimal(0)),
    ("age-1", "condition", "onsetAge.code", "kg"),
    ("age-1", "condition", "onsetAge.code", DROP),
    ("per-1", "statement", "effectivePeriod.end", "2022-12"),
    ("per-1", "statement", "effectivePeriod.end", "2023-01-05"),
    ("per-1", "encounter", "period.end", "2023-06-21"),
    ("per-1", "encounter", "period.end", "2023-06-21T06:19:59.9Z"),
    ("per-1", "encounter", "period.end", "2023-06-21T08:19:00+02:00"),
    ("rat-1", "statement", "dosage.0.maxDosePerPeriod.denominator", DROP),
    ("att-1", "patient", "photo.0.contentType", DROP),
    ("attachment-hash", "patient", "photo.0.hash", "aGVsbG8="),
    ("cpt-2", "patient", "telecom.0.system", DROP),
    ("tim-2", "statement", "dosage.0.timing.repeat.periodUnit", DROP),
    ("tim-1", "statement", "dosage.0.timing.repeat.durationUnit", DROP),
    ("tim-4", "statement", "dosage.0.timing.repeat.duration", Decimal(-1)),
    ("tim-5", "statement", "dosage.0.timing.repeat.period", -4),
    ("tim-7", "statement", "dosage.0.timing.repeat", {"durationMax": 2}),
    ("tim-9", "statement", "dosage.0.timing.repeat.offset", 5),
    # references
    ("reference-type", "observation", "subject.reference", "Practitioner/1"),
    ("reference-type", "observation", "subject.type", "Group"),
    ("reference-type", "observation", "subject.reference", BASE + "Practitioner/1"),
    ("reference", "observation", "subject.reference", "p1"),
    ("reference-type", "observation", "subject", {"type": "Practitioner", "display": "d"}),
    ("binding", "observation", "subject.type", "Foo"),
    ("reference", "observation", "subject.reference", "Patint/1"),
    ("reference", "observation", "subject.reference", "a b"),
    ("urn-uuid", "observation", "subject.reference", "urn:uuid:1"),
    ("reference-type", "statement", "contained.0.resourceType", "Substance"),
    ("ref-1", "observation", "subject.reference", "#p1"),
    ("ref-1", "observation", "subject.reference", "#"),
    # contained
    ("dom-2", "statement", "contained.0", NESTED),
    ("dom-3", "statement", "medicationReference.reference", "Medication/1"),
    ("dom-4", "statement", "contained.0.meta", {"versionId": "1"}),
    ("dom-5", "statement", "contained.0.meta", {"security": [{"system": "http://a.b", "code": "x"}]}),
    ("contained-id", "statement", "contained.0.id", DROP),
    ("contained-id", "statement", "contained.1", {"resourceType": "Medication", "id": "drug"}),
    # extensions
    ("extension-url", "patient", "extension.0.url", "colour"),
    ("ext-1", "patient", "extension.0.valueString", DROP),
    ("ext-1", "patient", "extension.0.extension", [{"url": "a", "valueString": "b"}]),
    (
        "unknown-element",
        "patient",
        "_birthDate",
        {"extension": [{"url": CORE + "data-absent-reason", "valueString": "unknown"}]},
    ),
    ("binding", "patient", "_birthDate", {"extension": [{"url": CORE + "data-absent-reason", "valueCode": "gone"}]}),
    ("unknown-element", "patient", "_gender", {"extension": [{"url": CORE + "originalText", "valueCode": "m"}]}),
    ("cardinality", "administration", "_effectiveDateTime.extension.0.extension.2", DROP),
    (
        "unknown-element",
        "administration",
        "_effectiveDateTime.extension.0.extension.3",
        {"url": "offset", "valueAge": quantity("3", "mo")},
    ),
    ("binding", "administration", "_effectiveDateTime.extension.0.extension.2.valueCode", "during"),
    (
        "extension-context",
        "patient",
        "extension.0",
        {"url": CORE + "condition-dueTo", "valueCodeableConcept": {"text": "d"}},
    ),
    (
        "reference-type",
        "condition",
        "extension.0",
        {"url": CORE + "condition-dueTo", "valueReference": ref("Patient/1")},
    ),
    ("extension-part", "administration", "_effectiveDateTime.extension.0.extension.4", {"url": "x", "valueCode": "y"}),
    # narrative
    ("txt-1", "patient", "text.div", "hello"),
    ("txt-1", "patient", "text.div", "<div>a</div>"),
    ("txt-1", "patient", "text.div", DIV % "<p>a"),
    ("txt-1", "patient", "text.div", DIV % "<script>a</script>"),
    ("txt-1", "patient", "text.div", DIV % '<p onclick="x">a</p>'),
    ("txt-1", "patient", "text.div", DIV % "<iframe/>a"),
    ("txt-1", "patient", "text.div", DIV % '<a href="javascript:x">a</a>'),
    ("txt-1", "patient", "text.div", DIV % "&nbsp;"),
    ("txt-1", "patient", "text.div", '<!DOCTYPE div [<!ENTITY a "b">]>' + DIV % "&a;"),
    ("txt-2", "patient", "text.div", DIV % " <p/>"),
    ("dom-6", "patient", "text", DROP),
    ("binding", "patient", "text.status", "new"),
    ("narrative-language", "patient", "language", "en"),
    ("pattern", "patient", "text.div", DIV % "a\x01"),
    # invariants of resources
    ("obs-3", "observation", "referenceRange.0", {"age": {"low": quantity("1", "a")}}),
    ("obs-6", "observation", "dataAbsentReason", coded(TERMINOLOGY + "data-absent-reason", "unknown")),
    ("obs-7", "observation", "component.0.code", {"coding": [{"system": LOINC, "code": "2465-3", "display": "IgG"}]}),
    ("con-1", "condition", "stage.0", {"type": {"text": "x"}}),
    ("con-2", "condition", "evidence.0", {"extension": [{"url": "http://a.b/c", "valueString": "x"}]}),
    ("con-3", "condition", "clinicalStatus", DROP),
    ("con-4", "condition", "abatementString", "gone"),
    ("con-5", "condition", "verificationStatus.coding.0.code", "entered-in-error"),
    ("mad-1", "administration", "dosage", {"text": "x"}),
    ("grp-1", "group", "actual", False),
    ("lst-1", "list", "emptyReason", {"text": "none"}),
    ("lst-2", "list", "entry.0.deleted", True),
    ("lst-3", "list", "entry.0.date", "2023"),
    ("cmp-1", "composition", "section.0.entry", DROP),
    ("cmp-2", "composition", "section.0.emptyReason", {"text": "none"}),
    ("pat-1", "patient", "contact.0", {"gender": "male"}),
    # vital signs
    ("vital-signs", "weight", "category.0.coding.0.code", "exam"),
    ("vital-signs", "weight", "effectiveDateTime", "2023-06"),
    ("vital-signs", "weight", "effectiveDateTime", DROP),
    ("vital-signs", "weight", "subject", DROP),
    ("vital-signs", "weight", "valueQuantity", quantity("70000", "mg")),
    ("vital-signs", "weight", "valueQuantity.unit", DROP),
    ("vital-signs", "weight", "valueQuantity", DROP),
    ("vital-signs", "pressure", "component.1", DROP),
    ("vital-signs", "pressure", "component.0.valueQuantity", quantity("16", "kPa")),
    ("vital-signs", "pressure", "valueString", "x"),
    ("vital-signs", "pressure", "component.0.valueQuantity", DROP),
    ("vital-signs", "weight", "code.coding.0.code", "85353-1"),
    # bundles
    ("bdl-1", "collection", "total", 2),
    ("bdl-2", "collection", "entry.0.search", {"mode": "match"}),
    ("bdl-3", "collection", "entry.0.request", {"method": "GET", "url": "x"}),
    ("bdl-3", "transaction", "entry.0.request", DROP),
    ("bdl-4", "collection", "entry.0.response", {"status": "200"}),
    ("bdl-5", "collection", "entry.2", {"fullUrl": urn(7)}),
    ("bdl-7", "collection", "entry.2", entry(1, ORGANIZATION)),
    ("bdl-8", "server", "entry.0.fullUrl", BASE + "Patient/p1/_history/1"),
    ("bdl-9", "document", "identifier", DROP),
    ("bdl-9", "document", "identifier.value", DROP),
    ("bdl-10", "document", "timestamp", DROP),
    ("bdl-11", "document", "entry.0", DROP),
    ("bdl-11", "collection", "type", "document"),
    ("bdl-12", "collection", "type", "message"),
    ("bundle-fullurl", "collection", "entry.0.fullUrl", DROP),
    ("bundle-fullurl", "collection", "entry.0.fullUrl", "Patient/1"),
    ("bundle-fullurl", "server", "entry.0.fullUrl", BASE + "Patient/p2"),
    ("bundle-fullurl", "server", "entry.0.resource.id", DROP),
    ("bundle-fullurl", "server", "entry.0.fullUrl", BASE + "Observation/p1"),
    ("urn-uuid", "collection", "entry.0.fullUrl", urn(1).replace("1", "A")),
    ("bundle-reference", "collection", "entry.1.resource.subject.reference", urn(9)),
    ("bundle-reference", "document", "entry.2.resource.subject.reference", urn(9)),
    ("bundle-reference", "transaction", "entry.1.resource.subject.reference", urn(9)),
    ("bundle-reference", "document", "entry.0.resource.subject.reference", BASE + "Patient/1"),
    ("bundle-relative", "collection", "entry.1.resource.subject.reference", "Patient/77"),
    ("bundle-relative", "collection", "entry.1.resource.subject.reference", "Patient/" + uuid(1)),
    ("bundle-relative", "transaction", "entry.1.resource.subject.reference", "Patient/" + uuid(1)),
    ("reference", "collection", "entry.1.resource.subject.reference", "Patient?identifier=1"),
    ("reference-type", "collection", "entry.0", entry(1, ORGANIZATION)),
    ("bundle-orphan", "document", "entry.3", entry(7, ORGANIZATION)),
    ("reference-type", "server", "entry.1.resource.subject", {"reference": "Patient/p1", "type": "Group"}),
    ("cardinality", "collection", "type", DROP),
    ("binding", "collection", "type", "set"),
]
WARNINGS = (
    "whitespace",
    "decimal-digits",
    "no-system",
    "no-code",
    "ucum-annotation",
    "dom-6",
    "con-3",
    "narrative-language",
    "bundle-relative",
)


@pytest.mark.parametrize("name", SOUND)
def test_sound(name: str) -> None:
    """A sound resource has no issue at all."""
    assert [issue.line() for issue in check(SOUND[name])] == []


@pytest.mark.parametrize(
    ("rule", "name", "path", "value"), MUTANTS, ids=[f"{m[0]}-{m[1]}.{m[2]}"[:60] for m in MUTANTS]
)
def test_mutant(rule: str, name: str, path: str, value: Json) -> None:
    """A single fault is found under its rule, with a place that the pointer leads to, a sentence and a remedy."""
    broken = patched(name, path, value)
    found = {issue.rule: issue for issue in check(broken)}
    assert rule in found, sorted(found)
    issue = found[rule]
    assert issue.code == "r4"
    assert issue.text
    assert issue.remedy
    if rule not in ("binding", "bundle-reference"):
        assert (issue.level == "warning") == (rule in WARNINGS)
    assert issue.path.startswith(broken.get("resourceType", "Resource"))
    *above, last = issue.pointer.split("/")[1:] or ["resourceType"]
    at = broken
    for step in above:
        at = at[int(step)] if isinstance(at, list) else at[step]
    assert rule in ("cardinality", "resource-type", "null") or (int(last) if isinstance(at, list) else last) in (
        range(len(at)) if isinstance(at, list) else at
    )


@pytest.mark.parametrize(
    ("name", "level"), [("collection", "warning"), ("document", "error"), ("transaction", "error")]
)
def test_closed_references(name: str, level: str) -> None:
    """A urn reference that is not in the Bundle: an error in a document and a transaction, else a warning."""
    number = 2 if name == "document" else 1
    broken = patched(name, f"entry.{number}.resource.subject.reference", urn(9))
    assert ("bundle-reference", level) in [(issue.rule, issue.level) for issue in check(broken)]


def test_every_problem() -> None:
    """All problems of a resource are found at once, whatever else is wrong beside them."""
    broken = patched("observation", "status", "bogus")
    broken |= {"valueString": 5, "colour": 1, "id": "a_b", "subject": {"reference": "Practitioner/1"}, "note": []}
    rules = {"binding", "type", "unknown-element", "pattern", "reference-type", "cardinality", "choice"}
    assert rules <= {issue.rule for issue in check(broken)}


def test_enough() -> None:
    """The table holds what the plan asks for."""
    assert len(MUTANTS) >= 120
