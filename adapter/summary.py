"""A case and its conversion in words that a clinician and an integration engineer both read.

Pure: text from a `Case`, a Bundle and the reports. What the source does not state is listed as
such; nothing is computed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from textwrap import fill
from typing import Any

from mappings import Case, Report, encode
from mappings.case import SECTIONS
from mappings.check import places, plan
from mappings.concepts.administration import Administration
from mappings.concepts.condition import Condition
from mappings.concepts.dose import Dose
from mappings.concepts.encounter import Encounter
from mappings.concepts.measurement import KINDS, Measurement
from mappings.concepts.monoclonal_protein import Clone, MonoclonalProtein
from mappings.concepts.therapy import Therapy
from mappings.report import Json
from mappings.terms import WORDS
from mappings.values import Absent, Period, Relative, ValueOrAbsent, When

Names = dict[str, str]
WIDTH = 110
_RELATIONS = {
    "before-start": "before the start of",
    "before-end": "before the end of",
    "after-start": "after the start of",
    "after-end": "after the end of",
    "concurrent-with-start": "at the start of",
    "concurrent": "during",
    "concurrent-with-end": "at the end of",
}
_CHAINS = {"igg": "IgG", "iga": "IgA", "igm": "IgM", "igd": "IgD", "ige": "IgE", "kappa": "κ", "lambda": "λ"}
#: Sections that have words of their own below; every other one is listed by the titles of its tables.
_TOLD = ("patient", "encounters", "conditions", "monoclonal_protein", "measurements", "therapies")


def clinical(case: Case) -> str:
    """The case as a clinician would tell it."""
    names = names_of(case)
    blocks: list[tuple[str, Iterable[str]]] = [
        ("Case", _case(case)),
        ("Patient", _patient(case, names)),
        ("Diagnoses", (_condition(one, names) for one in case.conditions)),
        ("Monoclonal protein", (line for one in case.monoclonal_protein for line in _protein(one))),
        ("Therapies, by line", (line for one in by_line(case.therapies) for line in _therapy(one, names))),
        ("Measurements", (measurement_words(one, names) for one in case.measurements)),
        ("Also", _others(case)),
        ("Not stated by the source, so kept as absent with the reason", _not_stated(case, names)),
    ]
    shown = ((heading, list(lines)) for heading, lines in blocks)
    return "\n\n".join("\n".join([heading, *map(_line, lines)]) for heading, lines in shown if lines)


def _line(text: str) -> str:
    """A line of a block, broken where it is too long."""
    indent = " " * (2 + len(text) - len(text.lstrip()))
    return fill(text.strip(), WIDTH, initial_indent=indent, subsequent_indent=f"{indent}    ")


# --- names and times ----------------------------------------------------------------------------


def names_of(case: Case) -> Names:
    """What to call the item of each key."""
    items = [(planned.item_key, planned) for planned in plan(case)]
    found = {key: _name(planned.item) or planned.table.title(planned.item).partition(": ")[0] for key, planned in items}
    return found | {"patient": "the patient"}


def _name(item: Any) -> str:
    """The shortest name of an item; empty where only its title says what it is."""
    if isinstance(item, Encounter):
        return "the presentation" if item.time_zero else f"the encounter ({item.class_.display or item.class_.code})"
    if isinstance(item, Clone):
        return f"the {_clone_type(item)} clone"
    if isinstance(item, MonoclonalProtein):
        return "the monoclonal protein panel"
    if isinstance(item, Measurement):
        return measured_name(item)
    if isinstance(item, Administration) and item.cycle:
        return f"cycle {item.cycle}{f' day {item.day}' if item.day else ''}"
    return getattr(getattr(item, "code", None), "label", "")


def time_words(when: When | None, names: Names) -> str:
    """A time in words; empty where there is none."""
    if when is None or when.absent:
        return ""
    if when.encounter is not None:
        return f"at {names[when.encounter]}"
    if when.age is not None:
        return f"at the age of {when.age}"
    if when.relative is not None:
        return _relative(when.relative, names)
    return _period(when.period, names) if when.period is not None else f"{when.at}"


def _period(period: Period, names: Names) -> str:
    found = []
    for at, relative, end in (("from", "", period.start), ("to", "ended ", period.end)):
        if isinstance(end, Relative):
            found.append(f"{relative}{_relative(end, names)}")
        elif end is not None:
            found.append(f"{at} {end}")
    return " ".join(found)


def _relative(value: Relative, names: Names) -> str:
    how_far = value.offset_text or value.offset or value.offset_range or ""
    return f"{how_far} {_RELATIONS.get(value.relation, value.relation)} {names[value.anchor]}".strip()


def _joined(*parts: object) -> str:
    return ", ".join(str(part) for part in parts if part)


# --- the sections -------------------------------------------------------------------------------


def _case(case: Case) -> Iterator[str]:
    labels = [WORDS["security"][word].display for word in case.security]
    yield _joined(f"{case.case_id} of {case.case_system}", *labels)


def _patient(case: Case, names: Names) -> Iterator[str]:
    patient = case.patient
    ages = [f"{age.age} {time_words(age.when, names)}".strip() for age in patient.ages]
    born = f"born {patient.birth_date.at}" if patient.birth_date and patient.birth_date.at else "birth date not stated"
    yield _joined(patient.sex or "sex not stated", *ages, born, *(one.label for one in patient.ethnicity))


def _condition(one: Condition, names: Names) -> str:
    since, until = time_words(one.onset, names), time_words(one.abatement, names)
    related = [names[key] for key in one.related]
    return _joined(
        f"{one.code.label}: {one.clinical_status or one.verification_status}",
        one.severity and one.severity.label,
        since and f"since {since}",
        until and f"until {until}",
        related and f"related to {' and '.join(related)}",
    )


def _clone_type(clone: Clone) -> str:
    chains = (clone.heavy_chain, clone.light_chain)
    return " ".join(_CHAINS.get(chain.type, f"{chain.type} chain") for chain in chains if chain is not None)


def _protein(panel: MonoclonalProtein) -> Iterator[str]:
    yield panel.clonality
    for clone in panel.clones:
        bases = [chain.source.basis for chain in (clone.heavy_chain, clone.light_chain) if chain and chain.source]
        yield f"  {_clone_type(clone)}{f' (a chain {bases[0]})' if bases else ''}: {clone.quantity}"
    for chain in panel.free_light_chains:
        yield f"  free {_CHAINS.get(chain.analyte, chain.analyte)}: {chain.value}"


def by_line(therapies: Iterable[Therapy]) -> list[Therapy]:
    return sorted(therapies, key=lambda one: (one.line is None, one.line or 0))


def _therapy(one: Therapy, names: Names) -> Iterator[str]:
    basis = f" ({one.status_basis})" if one.status_basis else ""
    reasons = " and ".join(reason.label for reason in one.status_reasons)
    cycles = one.cycles_administered
    yield f"{one.line or '-'}  {one.code.label}: " + _joined(
        f"{status_words(one.status)}{basis}{f' for {reasons}' if reasons else ''}",
        cycles is not None and f"{cycles} cycles given",
        one.duration and f"for {one.duration}",
        time_words(one.when, names),
    )
    yield from (f"     dose {dose.sequence}: {dose_words(dose)}" for dose in one.doses)
    yield from (f"     {setting.code.label}: {setting.value}" for setting in one.settings)
    yield from (f"     {administration_words(part, names)}" for part in one.administrations)


def status_words(word: str) -> str:
    return "status not stated" if word == "unknown" else word.replace("-", " ")


def dose_words(dose: Dose) -> str:
    amount = dose.amount or dose.amount_range or dose.per_time
    if amount is None:
        return _joined(dose.text or f"for {dose.for_}", dose.route and dose.route.label)
    often = "once" if dose.frequency == 1 else f"{dose.frequency} times"
    return _joined(
        f"{amount}{f' over {dose.spread_over}' if dose.spread_over else ''}".replace(" per 1 ", " per "),
        dose.frequency and f"{often} every {str(dose.period).removeprefix('1 ')}",
        dose.count and f"{dose.count} times in all",
        dose.for_ and f"for {dose.for_}",
        dose.route and dose.route.label,
    )


def administration_words(one: Administration, names: Names) -> str:
    reasons = " and ".join(reason.label for reason in one.status_reasons)
    dose = f"{one.dose}{f' over {one.over}' if one.over else ''}" if one.dose else ""
    what = f"{status_words(one.status)}{f' for {reasons}' if reasons else ''}"
    return f"{_name(one)}: {_joined(what, dose, time_words(one.when, names))}"


def measured_name(one: Measurement) -> str:
    term = KINDS[one.kind].term
    return one.code.label if one.code else (term.display if term else one.kind)


def measurement_words(one: Measurement, names: Names) -> str:
    when = time_words(one.when, names)
    return _joined(f"{measured_name(one)}{f' {when}' if when else ''}: {one.value}", one.trend)


def _others(case: Case) -> Iterator[str]:
    """The sections without words of their own: a line each, with the titles that its items have in their narrative."""
    titles: dict[str, list[str]] = {}
    for name, table in SECTIONS:
        value = getattr(case, name)
        for item in value if isinstance(value, tuple) else filter(None, [value]):
            titles.setdefault(name, []).append(next(planned.table.title(item) for planned in table.plan(item)))
    for name, found in titles.items():
        if name not in _TOLD:
            heading = name.replace("_", " ")
            heads = [title.partition(": ")[0].lower() for title in found]
            short = [
                t.partition(": ")[2] or t if heading.startswith(h) else t for h, t in zip(heads, found, strict=True)
            ]
            yield f"{heading}: {'; '.join(short)}"


def _not_stated(case: Case, names: Names) -> Iterator[str]:
    """Each field and reason once, with the items that it is true of."""
    found: dict[tuple[str, str], list[str]] = {}
    for place in places(case, Case):
        value, reason = place.value, None
        if isinstance(value, When):
            reason = _reason(value)
        elif isinstance(value, ValueOrAbsent) and value.absent:
            reason = value.absent.text or value.absent.reason
        elif value == "unknown" and place.shape.words and place.parent not in (When, Absent):
            reason = "unknown"
        if reason is not None:
            field = {"when": "time"}.get(place.shape.name, place.shape.json_name.replace("_", " "))
            found.setdefault((field, reason), []).append(names.get(place.item, place.item))
    for (field, reason), items in found.items():
        counted = Counter(items).items()
        listed = ", ".join(f"{name} ({count}x)" if count > 1 else name for name, count in counted)
        yield f"{field} of {listed}: {reason}"


def _reason(when: When) -> str | None:
    """Why a time is not known; one that is told in words is known."""
    if when.absent in (None, "as-text"):
        return None
    return f"{when.absent}{f' ({when.text})' if when.text else ''}"


# --- the conversion -----------------------------------------------------------------------------


def technical(bundle: dict[str, Json], written: Report, read: Report) -> str:
    """What the Bundle holds and what became of every leaf, which is one JSON value that is no object or array."""
    types = Counter(entry["resource"]["resourceType"] for entry in bundle["entry"])
    generated = sum(issue.leaves for issue in read.issues if issue.disposition == "generated")
    return "\n".join(
        [
            f"FHIR R4 Bundle: {bundle['type']}, {len(bundle['entry'])} entries, {len(encode(bundle)):,} bytes",
            *(f"  {count:3} {type_}" for type_, count in types.most_common()),
            f"case -> Bundle: {written.mapped} of {written.total} values of the case written",
            f"Bundle -> case: {read.total} values: {read.mapped} mapped,"
            f" {generated} made by this adapter (texts, provenance, frame), {read.rest - generated} left",
        ]
    )
