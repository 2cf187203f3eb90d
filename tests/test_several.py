"""One item, several resources: sites that R4 wants one by one, parts with resources of their own, their owner."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest

from mappings import Case, MappingError, Report, encode, from_fhir, load_case, to_fhir
from mappings.choices import value
from mappings.codec import concept, plain
from mappings.generated import labels, resource_id
from mappings.many import each, owner, spread
from mappings.resource import Node, Planned, ResourceMap, Writing
from mappings.rows import at, fixed
from mappings.terms import TERMS
from mappings.values import Concept, Item, Line, Quantity, ValueOrAbsent

Json = Any


def finding(*sites: str, **more: Json) -> dict[str, Json]:
    """A finding at these sites."""
    found = {"key": "skin", "code": {"text": "Thickened skin"}, "presence": "present"}
    return found | ({"sites": [{"text": site} for site in sites]} if sites else {}) | more


def case(*findings: dict[str, Json], **sections: Json) -> Case:
    """A case of these findings, and of other sections."""
    document = {"schema_version": "1.0", "case_system": "https://a.example/sid", "case_id": "1", "language": "en"}
    return load_case(document | {"patient": {}, "findings": list(findings)} | sections)


def observations(bundle: Json) -> list[Json]:
    """The Observations of a bundle, in order."""
    return [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Observation"]


def keys(bundle: Json) -> list[str]:
    """The keys in their identifiers."""
    return [resource["identifier"][0]["extension"][0]["valueString"] for resource in observations(bundle)]


def sites(made: Case) -> list[list[str]]:
    """The sites of each finding."""
    return [[site.label for site in one.sites] for one in made.findings]


def test_each_site_is_a_resource_and_together_they_are_one_item() -> None:
    """R4 gives an Observation one body site: the finding at two is two, keyed by site, and read as one, in order."""
    bundle = to_fhir(case(finding("knees", "face")))
    assert keys(bundle) == ["skin.knees", "skin.face"]
    assert [resource["bodySite"]["text"] for resource in observations(bundle)] == ["knees", "face"]
    bundle["entry"].reverse()
    assert sites(from_fhir(bundle)[0]) == [["knees", "face"]]


def test_an_item_without_a_site_keeps_its_own_key() -> None:
    """No site, no share: one resource under the item's key."""
    assert keys(to_fhir(case(finding()))) == ["skin"]


def test_a_reference_to_the_item_names_all_its_resources() -> None:
    """What points to the finding points to each of its Observations, and is read as the one key."""
    made = case(finding("knees", "face"), finding(key="stiff", causes=["skin"]))
    causes = [e["valueReference"]["reference"] for e in observations(to_fhir(made))[2]["extension"]]
    assert causes == [f"urn:uuid:{resource_id(made, 'Observation', f'skin.{site}')}" for site in ("knees", "face")]
    assert from_fhir(to_fhir(made))[0].findings[1].causes == ("skin",)


def test_resources_of_an_item_that_no_longer_agree_are_items_of_their_own() -> None:
    """Somebody found the face clear: present at the knees is not made of absent in the face, nor the reverse."""
    bundle = to_fhir(case(finding("knees", "face")))
    absent = to_fhir(case(finding(presence="absent")))
    observations(bundle)[1]["valueCodeableConcept"] = observations(absent)[0]["valueCodeableConcept"]
    made, _ = from_fhir(bundle)
    assert sites(made) == [["knees"], ["face"]]
    assert [one.presence for one in made.findings] == ["present", "absent"]
    assert made.findings[0].key == "skin"
    assert encode(to_fhir(made, onto=bundle)) == encode(bundle)


def test_a_site_that_somebody_renamed_is_still_of_the_item() -> None:
    """The key in the identifier was made of the old name; the resource is the same."""
    bundle = to_fhir(case(finding("knees", "face")))
    observations(bundle)[1]["bodySite"]["text"] = "neck"
    made, _ = from_fhir(bundle)
    assert sites(made) == [["knees", "neck"]]
    assert encode(to_fhir(made, onto=bundle)) == encode(bundle)


def test_a_site_less_is_a_resource_less() -> None:
    """The item is still there, so what it no longer needs goes without being asked, and the report says so."""
    bundle, report = to_fhir(case(finding("knees", "face", "neck"))), Report("case-to-fhir")
    out = to_fhir(case(finding("neck", "knees")), onto=bundle, report=report)
    assert keys(out) == ["skin.knees", "skin.neck"]
    assert [issue.code for issue in report.issues] == ["removed"]
    assert sites(from_fhir(out)[0]) == [["neck", "knees"]]


def test_an_item_that_changes_its_type_takes_its_references_along() -> None:
    """A course that turns out to be a procedure is another resource: the old one goes, what pointed to it follows."""
    course = {"key": "uva", "kind": "drug", "code": {"text": "UVA1"}, "status": "completed"}
    tolerance = {"key": "borne", "course": "uva", "adverse_effects": "absent"}
    was = case(therapies=[course], tolerance=[tolerance])
    now = case(therapies=[course | {"kind": "procedure"}], tolerance=[tolerance])
    out = to_fhir(now, onto=to_fhir(was))
    assert [e["resource"]["resourceType"] for e in out["entry"] if e["resource"]["resourceType"] in COURSES] == [
        "Procedure"
    ]
    assert from_fhir(out)[0] == now


COURSES = ("MedicationStatement", "Procedure")


def test_two_sites_of_one_name_are_refused() -> None:
    """Two resources with one id would be one: the case is refused, with the place."""
    with pytest.raises(MappingError) as refused:
        case(finding("Knees", "knees"))
    assert [(issue.code, issue.pointer) for issue in refused.value.issues] == [("id-collision", "/findings/0/sites/1")]


def test_sites_in_other_alphabets_are_told_apart() -> None:
    """A name without one ASCII letter still makes a key of its own."""
    made = case(finding("顔", "膝"))
    assert sites(from_fhir(to_fhir(made))[0]) == [["顔", "膝"]]
    assert len(set(keys(to_fhir(made)))) == 2


# --- parts, on a toy ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A part without a key: there is one of it, so the owner's key and the field name it."""

    text: Line


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample(Item):
    """What many toys share."""

    size: ValueOrAbsent


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort(Item):
    """A toy: a Group with colours (a resource each), samples whose subject is the Group, one label."""

    colours: tuple[Concept, ...] = ()
    samples: tuple[Sample, ...] = ()
    label: Label | None = None


def toy(type_: str, cls: type, *rows: Any) -> ResourceMap:
    """A table for the toy."""
    return ResourceMap(cls, type_, *rows, profile=f"toy-{cls.__name__.lower()}", title=lambda item: "toy")


LABEL = toy("Basic", Label, at("code.text", plain(), "text"), owner("subject", many=False))
SAMPLE = toy("Observation", Sample, fixed("code", TERMS.body_weight), owner("subject", many=False), value("size"))
COHORT = toy(
    "Group",
    Cohort,
    spread("code", concept(), "colours"),
    each("samples", SAMPLE),
    each("label", LABEL, forward="note"),
)
TOY = Cohort(
    key="c",
    colours=(Concept("red"), Concept("blue")),
    samples=(
        Sample(key="s", size=ValueOrAbsent(quantity=Quantity(Decimal("1.80"), "kg"))),
        Sample(key="t", size=ValueOrAbsent(text="big")),
    ),
    label=Label(text="L"),
)


def written(item: Cohort) -> tuple[list[Planned], list[Json]]:
    """The plan of the toy and its resources, by the engine's own functions."""
    plans, by_key = list(COHORT.plan(item)), {}
    for planned in plans:
        planned.ref = f"{planned.table.type}/{planned.key}"
        by_key.setdefault(planned.item_key, []).append(planned)
    minimal = case()
    to = Writing(minimal, by_key, "Patient/p", labels=lambda: labels(minimal))
    return plans, [planned.table.write(planned, to) for planned in plans]


class Entries:
    """The written resources as a graph to read from."""

    def __init__(self, plans: list[Planned], resources: list[Json]) -> None:
        self.nodes = [
            Node(i, "", "", json, planned.table.type, planned.ref, planned.key, planned.item_key, table=planned.table)
            for i, (planned, json) in enumerate(zip(plans, resources, strict=True))
        ]
        self.by_ref = {node.full_url: node for node in self.nodes}

    def resolve(self, json: Json, node: Node) -> Node | None:
        """The node of a Reference."""
        return self.by_ref.get(json.get("reference"))


def test_parts_are_planned_behind_their_owner() -> None:
    """A resource a colour, a resource a sample, and one for the label, whose key is the owner's with the field."""
    plans, _ = written(TOY)
    assert [planned.key for planned in plans] == ["c.red", "c.blue", "s", "t", "c.label"]
    assert [planned.item_key for planned in plans] == ["c", "c", "s", "t", "c.label"]
    assert all(planned.owner is plans[0] for planned in plans[2:])


def test_parts_name_their_owner_as_subject_and_it_names_them() -> None:
    """The Group is the subject of its samples; the label is in the owner's list, in each of its resources."""
    _, resources = written(TOY)
    assert [resource.get("subject") for resource in resources[2:]] == [{"reference": "Group/c.red"}] * 3
    assert [resource.get("note") for resource in resources[:2]] == [[{"reference": "Basic/c.label"}]] * 2


def test_parts_find_their_owner_again() -> None:
    """Read one by one, each part knows its owner and its place in it; the shares know their colour."""
    plans, resources = written(TOY)
    entries = Entries(plans, resources)
    for node in entries.nodes:
        assert node.table is not None
        node.table.read(node, entries)
    red, blue, *parts = entries.nodes
    assert [(node.owner, node.slot) for node in parts] == [(red, "samples"), (red, "samples"), (red, "label")]
    assert [node.into["colours"] for node in (red, blue)] == [(Concept("red"),), (Concept("blue"),)]
    assert LABEL.make(parts[2]) == TOY.label
    assert tuple(SAMPLE.make(node) for node in parts[:2]) == TOY.samples


def test_a_toy_without_parts_is_one_resource() -> None:
    """Nothing is written for what is not there."""
    plans, resources = written(replace(TOY, colours=(), samples=(), label=None))
    assert [planned.key for planned in plans] == ["c"]
    assert "note" not in resources[0]
