"""A case to start from, and the guide to it: what ``fhir-adapter new`` gives.

JSON has no comments, and a file that must be cleaned before it loads helps nobody. So the skeleton
is a whole case that loads and converts as it is, claims nothing (what could be a fact is absent or
unknown), and carries the label of test data until somebody takes that away. The comments are the
guide, which is made from the dataclasses.
"""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import fill

from adapter.summary import WIDTH
from mappings import Case
from mappings.case import SECTIONS
from mappings.concepts.administration import Administration
from mappings.concepts.condition import Condition
from mappings.concepts.dose import Dose
from mappings.concepts.encounter import Encounter
from mappings.concepts.measurement import Measurement
from mappings.concepts.monoclonal_protein import Clone, HeavyChain, LightChain, MonoclonalProtein
from mappings.concepts.patient import Patient, Pseudonym
from mappings.concepts.therapy import Therapy
from mappings.resource import AnyMap
from mappings.shape import Shape, shapes
from mappings.terms import TERMS
from mappings.values import Absent, ValueOrAbsent, When

_UNKNOWN = When(absent="unknown")
_NO_VALUE = ValueOrAbsent(absent=Absent("unknown"))


def skeleton() -> Case:
    """The case: one item in each of the sections that most cases need."""
    return Case(
        schema_version="1.0",
        case_system="https://example.org/change-me",
        case_id="change-me",
        language="en",
        security=("HTEST",),
        patient=Patient(
            pseudonym=Pseudonym(value="change-me", kind="pseudonymized", system="https://example.org/change-me"),
            birth_date=_UNKNOWN,
        ),
        encounters=(
            Encounter(key="enc-1", class_=TERMS.ambulatory.codings[0], status="unknown", when=_UNKNOWN, time_zero=True),
        ),
        conditions=_conditions(),
        monoclonal_protein=(_protein(),),
        measurements=(Measurement(key="skin-1", kind="skin-thickness", value=_NO_VALUE, when=When(encounter="enc-1")),),
        therapies=(_ivig(),),
    )


def _conditions() -> tuple[Condition, ...]:
    return (
        Condition(
            key="cond-1",
            role="mucinosis",
            code=TERMS.scleromyxedema.concept(),
            clinical_status="active",
            verification_status="unconfirmed",
            onset=_UNKNOWN,
        ),
        Condition(
            key="cond-2",
            role="gammopathy",
            code=TERMS.monoclonal_gammopathy.concept(),
            clinical_status="active",
            verification_status="unconfirmed",
            evidence=("mprot-1",),
        ),
    )


def _protein() -> MonoclonalProtein:
    heavy, light = HeavyChain(type="unknown"), LightChain(type="unknown")
    clone = Clone(key="clone-1", heavy_chain=heavy, light_chain=light, quantity=_NO_VALUE)
    return MonoclonalProtein(key="mprot-1", clonality="unknown", when=_UNKNOWN, clones=(clone,))


def _ivig() -> Therapy:
    return Therapy(
        key="course-1",
        kind="drug",
        code=TERMS.ivig.concept(),
        status="unknown",
        when=_UNKNOWN,
        reasons=("cond-1",),
        doses=(Dose(sequence=1, text="change me"),),
        administrations=(Administration(key="infusion-1", status="unknown", cycle=1, day=1, when=_UNKNOWN),),
    )


# --- the guide ----------------------------------------------------------------------------------

_HEAD = """\
This case loads and converts as it is. Replace every change-me, fill in what you know, take out what you do not
need, and remove security HTEST (test data) when the case is a real one. Then: fhir-adapter to-fhir FILE

Forms that return everywhere
  time      {"at": "2024-01-08"} or with a time of day {"at": "2024-01-08T09:00:00+01:00"}
            {"period": {"start": "2024-01", "end": "2024-03"}}   {"encounter": "enc-1"}   {"absent": "unknown"}
            {"relative": {"anchor": "enc-1", "anchor_element": "period", "relation": "before-start",
                          "offset": {"value": 3, "unit": "a"}}}
  quantity  {"value": 1.80, "unit": "mm"}   units are UCUM codes; digits are kept: 1.80 stays 1.80
  value     {"quantity": {...}} or {"absent": {"reason": "unknown"}}: no result is told, not left out
  concept   {"text": "in words", "codings": [{"system": "http://snomed.info/sct", "code": "...", "display": "..."}]}
  key       your own name of an item, such as cond-1; other items refer to it by this name

Sections ([]: a list; * must be there). Every item may also have a source, most have note[]."""
_SHARED = ("source", "note", "record_status")
_INDENT = " " * 6


def guide() -> str:
    """What belongs where, section by section."""
    return "\n".join([_HEAD, *_sections(), "", "All fields, units and their places in FHIR: fhir-adapter table"])


def _sections() -> Iterator[str]:
    known = shapes(Case)
    for name, table in SECTIONS:
        yield from _section(_name(known[name]), table)


def _section(name: str, table: AnyMap) -> Iterator[str]:
    """One section and the sections within it."""
    known = shapes(table.cls)
    about = (table.cls.__doc__ or "").partition("\n")[0].replace("``", "")
    yield fill(f"{name}  {about}", WIDTH, initial_indent="  ", subsequent_indent="    ")
    fields = ", ".join(_field(shape) for shape in known.values() if shape.name not in _SHARED)
    yield fill(fields, WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT, break_on_hyphens=False)
    for field, part in {row.field: row.table for one in table.tables for row in one.each}.items():
        yield from _section(f"{name}.{_name(known[field])}", part)


def _name(shape: Shape) -> str:
    return f"{shape.json_name}{'[]' if shape.many else ''}{'*' if shape.required else ''}"


def _field(shape: Shape) -> str:
    """The field, with its words where they are few enough to read."""
    words = "|".join(str(word).lower() if word is True else str(word) for word in shape.words)
    return f"{_name(shape)}{f' ({words})' if words and len(shape.words) < 9 else ''}"
