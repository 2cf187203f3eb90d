"""Document Bundles: a Composition first, everything reachable from it, told for people, with a time of its making."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from mappings import Case, MappingError, dump_case, encode, from_fhir, load_case, to_fhir
from mappings.case import SECTIONS
from mappings.composition import TOLD_IN
from mappings.terms import TERMS
from mappings.values import TIME_UNITS

EXAMPLES = Path(__file__).parent.parent / "examples"
NAMES = ("published-case", "synthetic-course", "minimal")
NOW, RECORDED = "2026-01-02T03:04:05+01:00", "2024-07-15T10:00:00+02:00"
XHTML = "{http://www.w3.org/1999/xhtml}"
Json = dict[str, Any]


def case_of(name: str) -> Case:
    return load_case((EXAMPLES / name / "case.json").read_bytes())


def document(case: Case, **options: Any) -> Json:
    """The document as it goes over the wire."""
    made: Json = json.loads(encode(to_fhir(case, bundle_type="document", **{"now": NOW} | options)))
    return made


@pytest.fixture(params=NAMES)
def case(request: pytest.FixtureRequest) -> Case:
    """Each example."""
    return case_of(request.param)


def composition(bundle: Json) -> Json:
    found: Json = bundle["entry"][0]["resource"]
    return found


# --- the frame --------------------------------------------------------------------------------


def test_the_composition_comes_first_and_alone(case: Case) -> None:
    """The first entry is the Composition, and there is no other (bdl-11)."""
    types = [entry["resource"]["resourceType"] for entry in document(case)["entry"]]
    assert types[0] == "Composition"
    assert types.count("Composition") == 1


def test_the_bundle_has_an_identifier_and_a_time(case: Case) -> None:
    """A document has an identifier with system and value (bdl-9) and a timestamp (bdl-10)."""
    bundle = document(case)
    assert bundle["identifier"]["system"] == "urn:ietf:rfc:3986"
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", bundle["identifier"]["value"])
    assert bundle["timestamp"] == (case.recorded or NOW)


def test_only_a_document_has_an_identifier_and_a_composition(case: Case) -> None:
    """A collection and a transaction have neither."""
    for bundle_type in ("collection", "transaction"):
        bundle = to_fhir(case, bundle_type=bundle_type)
        assert "identifier" not in bundle
        assert "Composition" not in [entry["resource"]["resourceType"] for entry in bundle["entry"]]


# --- the times of its making ------------------------------------------------------------------


def times(bundle: Json) -> tuple[str, ...]:
    """The three places that say when the document was made."""
    (made,) = (e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Provenance")
    return bundle["timestamp"], composition(bundle)["date"], made["recorded"]


def test_recorded_gives_the_times() -> None:
    """The time at which the case was written down, as it is spelled, in all three places."""
    case = replace(case_of("published-case"), recorded=RECORDED)
    assert times(document(case, now=None)) == (RECORDED,) * 3


def test_now_gives_the_times_where_the_case_has_none() -> None:
    """The caller's time, as it is spelled, in all three places."""
    assert times(document(case_of("published-case"))) == (NOW,) * 3


def test_recorded_goes_before_now() -> None:
    """What the case says of itself is not overridden."""
    assert times(document(replace(case_of("minimal"), recorded=RECORDED))) == (RECORDED,) * 3


def test_without_a_time_a_document_is_refused() -> None:
    """No clock is read: a document without a time is refused with what to do, and a collection is not."""
    case = case_of("published-case")
    with pytest.raises(MappingError) as refused:
        to_fhir(case, bundle_type="document")
    (issue,) = refused.value.issues
    assert (issue.code, issue.pointer) == ("needs-time", "/recorded")
    assert "timestamp" not in to_fhir(case)


# --- identity ---------------------------------------------------------------------------------


def test_the_same_content_has_the_same_identifier(case: Case) -> None:
    """A document made twice is one document, to the byte."""
    options = {"bundle_type": "document", "now": NOW}
    assert encode(to_fhir(case, **options)) == encode(to_fhir(case, **options))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("published-case", {"recorded": RECORDED}),
        ("published-case", {"language": "de"}),
        ("published-case", {"literature": None}),
        ("synthetic-course", {"statements": ()}),
    ],
)
def test_other_content_has_another_identifier(name: str, change: Json) -> None:
    """Each change of what a document says, or when, makes another document; the Bundle keeps the id of its case."""
    one, other = document(case_of(name)), document(replace(case_of(name), **change))
    assert one["identifier"] != other["identifier"]
    assert one["id"] == other["id"]


# --- everything reachable ---------------------------------------------------------------------


def references(json: Any) -> set[str]:
    if isinstance(json, dict):
        own = {json["reference"]} if isinstance(json.get("reference"), str) else set()
        return own.union(*map(references, json.values()))
    return set().union(*map(references, json)) if isinstance(json, list) else set()


def test_every_entry_is_reachable_from_the_composition(case: Case) -> None:
    """Each resource is linked from the Composition, at whatever distance; a Provenance links to those that are."""
    entries = {entry["fullUrl"]: entry["resource"] for entry in document(case)["entry"]}
    reached, waiting = set(), [next(iter(entries))]
    while waiting:
        url = waiting.pop()
        if url not in reached:
            reached.add(url)
            waiting += references(entries[url])
    left = [resource for url, resource in entries.items() if url not in reached]
    assert all(resource["resourceType"] == "Provenance" for resource in left)
    assert all({t["reference"] for t in resource["target"]} <= reached for resource in left)


def test_every_reference_leads_to_an_entry(case: Case) -> None:
    """A document is whole: no reference leaves it."""
    bundle = document(case)
    assert references(bundle) <= {entry["fullUrl"] for entry in bundle["entry"]}


def test_every_resource_of_the_case_is_listed_once(case: Case) -> None:
    """The sections list every resource that comes from the case, each in one of them."""
    bundle = document(case)
    listed = [entry["reference"] for section in composition(bundle)["section"] for entry in section["entry"]]
    of_the_case = [
        entry["fullUrl"]
        for entry in bundle["entry"]
        if any("smx-case-item" in str(one) for one in entry["resource"].get("identifier", ()))
    ]
    assert len(listed) == len(set(listed))
    assert set(listed) == set(of_the_case)


# --- told for people --------------------------------------------------------------------------


def sections(bundle: Json) -> dict[str, str]:
    """The text of each section by its code; the markup must be well-formed XHTML."""
    found = {}
    for section in composition(bundle)["section"]:
        div = section["text"]["div"]
        assert ElementTree.fromstring(div).tag == f"{XHTML}div"
        found[section["code"]["coding"][0]["code"]] = unescape(re.sub(r"<[^>]*>", "\n", div))
    return found


#: Members that hold words for people, and those below which there are none.
_TOLD = ("text", "label", "title", "note", "conclusion", "locator", "severity", "lot", "dose_text", "manufacturer")
_SILENT = ("codings",)


def words(json: Any) -> list[str]:
    """What a reader must find of an item: its texts, labels, titles, notes, and its numbers with their units."""
    if isinstance(json, list):
        return [word for one in json for word in words(one)]
    if not isinstance(json, dict):
        return []
    found = [word for name, value in json.items() if name not in _SILENT for word in words(value)]
    for name in _TOLD:
        value = json.get(name, [])
        found += [value] if isinstance(value, str) else []
        found += [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
    if "unit" in json:
        unit = json.get("display", json["unit"])
        found.append(f"{json['value']}" if unit in TIME_UNITS else f"{json['value']} {unit}")
    return found


def test_a_word_of_every_sort_is_looked_for() -> None:
    """Texts, notes, locators, figures with their units: the helper below finds them all."""
    plain = dump_case(case_of("synthetic-course")) | {"findings": dump_case(case_of("published-case"))["findings"]}
    found = words([value for value in plain.values() if isinstance(value, list | dict)])
    assert {
        "3.60 mm",
        "11.80 g/L",
        "130 mL/h",
        "SYN-A1",
        "Postponed: infection.",
        "massively",
        "Case report, para 2",
    } <= set(found)


def test_the_narrative_carries_the_words_of_every_item(case: Case) -> None:
    """Each text, note, locator and number of an item stands in the text of the section that tells the item."""
    told = sections(document(case))
    plain = dump_case(case)
    section_of = {name: f"section-{section}" for section, names in TOLD_IN.items() for name in names}
    missing = {
        (name, word) for name, _ in SECTIONS for word in words(plain.get(name)) if word not in told[section_of[name]]
    }
    assert missing == set()


def test_each_resource_of_a_section_has_its_block(case: Case) -> None:
    """A section has one heading for each resource that it lists."""
    for section in composition(document(case))["section"]:
        root = ElementTree.fromstring(section["text"]["div"])
        assert len(root.findall(f"{XHTML}p/{XHTML}b")) == len(section["entry"])


def test_each_resource_has_a_narrative_of_its_own(case: Case) -> None:
    """Every entry of a document can be shown on its own (dom-6), in the language of the case."""
    for entry in document(case)["entry"]:
        text = entry["resource"]["text"]
        assert text["status"] == "generated"
        assert ElementTree.fromstring(text["div"]).get("lang") == case.language


def test_markup_in_a_text_stays_a_text() -> None:
    """A < of a text is shown as one; it is no tag."""
    told = sections(document(case_of("synthetic-course")))
    assert "<transplantation>" in told["section-discussion"]


def test_the_sections_come_in_reading_order() -> None:
    """Diagnoses first, the reports of others last; a section with nothing to tell is left out."""
    order = [TERMS[f"section-{name}"].code for name in TOLD_IN]
    for name in NAMES:
        codes = [s["code"]["coding"][0]["code"] for s in composition(document(case_of(name)))["section"]]
        assert all(order.index(one) < order.index(next_) for one, next_ in pairwise(codes))
        assert all(s["entry"] for s in composition(document(case_of(name)))["section"])
    assert [s["title"] for s in composition(document(case_of("minimal")))["section"]] == ["Diagnoses"]


# --- the way back -----------------------------------------------------------------------------


def test_the_case_comes_back(case: Case) -> None:
    """Reading a document gives the case, to the last digit; the Composition is consumed, not mapped."""
    back, report = from_fhir(encode(to_fhir(case, bundle_type="document", now=NOW)))
    expected = case if case.recorded else replace(case, recorded=NOW)  # the time of a document is read as the case's
    assert back == expected
    assert encode(dump_case(back)) == encode(dump_case(expected))
    assert report.rest == sum(issue.leaves for issue in report.issues if issue.disposition == "generated")
