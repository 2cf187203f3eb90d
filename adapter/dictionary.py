"""The data dictionary: every field of a case with its meaning, type, unit, codes, cardinality and place in FHIR.

It is read off the mapping table (`adapter.tables`), the annotations of the dataclasses (`mappings.shape`)
and their docstrings; nothing is said a second time here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass
from html import escape
from itertools import groupby

from adapter.csv_text import csv_text
from adapter.tables import Line, mapping_table
from mappings.case import Case
from mappings.shape import Shape, shapes
from mappings.terms import SYSTEMS, TERMS, WORDS, Term
from mappings.values import LINE


@dataclass(frozen=True, slots=True)
class Field:
    """One field. ``path`` is from the case down; ``codes`` are its words and the codes behind them."""

    concept: str
    path: str
    definition: str
    type: str
    unit: str
    codes: str
    cardinality: str
    fhir: str


COLUMNS = ("concept", "field", "definition", "type", "unit", "codes", "cardinality", "FHIR")


def dictionary() -> list[Field]:
    """Every field in the order of the case, then the fields of the value types that they are made of."""
    by_path: dict[str, list[Line]] = {}
    types: dict[str, list[str]] = {}
    for line in mapping_table():
        types.setdefault(line.section, []).append(line.resource)
        if line.field and (line.fhir or line.row in ("each", "frame")):
            by_path.setdefault(_path(line), []).append(line)
    fields, seen = [], set(by_path)
    for path, lines in by_path.items():
        for holder in _holders(path):
            if holder not in seen:
                seen.add(holder)
                fields.append(_object(holder, lines[0].concept, _below(holder, lines[0].section, by_path)))
        fields.append(_field(path, lines, types.get(path, [])))
    return fields + list(_value_types(by_path))


def _path(line: Line) -> str:
    return ".".join(filter(None, [line.section, line.field]))


def _holders(path: str) -> list[str]:
    """The objects on the way to a field, the outermost first."""
    steps = path.split(".")
    return [".".join(steps[:count]) for count in range(1, len(steps))]


def _below(holder: str, section: str, by_path: dict[str, list[Line]]) -> list[Line]:
    """The lines of one section that lie below an object."""
    lines = [line for path, found in by_path.items() if path.startswith(f"{holder}.") for line in found]
    return [line for line in lines if line.section == section]


def _object(path: str, concept: str, lines: list[Line]) -> Field:
    """An object that holds fields: it lies where all of them lie."""
    cls, shape = _shape(path)
    places = [_common([fhir for line in lines if line.resource == one for fhir in line.fhir])
              for one in dict.fromkeys(line.resource for line in lines)]  # fmt: skip
    return Field(concept, path, definition(cls, shape), _type(shape), "", "", _cardinality(shape), "; ".join(places))


def _common(paths: list[str]) -> str:
    """The steps that all paths begin with."""
    steps = [found[0] for found in zip(*(path.split(".") for path in paths), strict=False) if len(set(found)) == 1]
    return ".".join(steps)


def _shape(path: str) -> tuple[type, Shape]:
    """The dataclass that has the field at a path, and the field."""
    cls: type = Case
    *steps, last = path.replace("[]", "").split(".")
    for step in steps:
        cls = _named(cls, step).type
    return cls, _named(cls, last)


def _named(cls: type, name: str) -> Shape:
    return next(shape for shape in shapes(cls).values() if shape.json_name == name)


def _field(path: str, lines: list[Line], types: list[str]) -> Field:
    """A field; ``types`` are those of its own resources, if its items have some."""
    cls, shape = _shape(path)
    places = [f"{', '.join(line.fhir)}{f' ({_only(line)})' if line.only else ''}" for line in lines if line.fhir]
    return Field(
        lines[0].concept,
        path,
        definition(cls, shape),
        _type(shape),
        _alternatives([(line, _units(line, shape)) for line in lines]),
        _alternatives([(line, _codes(line, shape)) for line in lines]),
        _cardinality(shape),
        "; ".join(dict.fromkeys([*places, *types])),
    )


def _alternatives(found: list[tuple[Line, str]]) -> str:
    """What all lines say, once; where they differ, with what each is for."""
    told = {text for _, text in found if text}
    if len(told) < 2:
        return next(iter(told), "")
    return "; ".join(dict.fromkeys(f"{_only(line) or line.resource}: {text}" for line, text in found if text))


def _only(line: Line) -> str:
    """The words of a choice for which a line holds."""
    return ", ".join(map(str, line.only))


# --- what a field means -----------------------------------------------------------------------


def definition(cls: type, shape: Shape) -> str:
    """What the docstring of the dataclass says of the field; else its own name in words."""
    for owner in cls.__mro__:
        for clause in _clauses(owner):
            if re.search(rf"``{shape.json_name}_?``", clause):
                return _plain(re.sub(rf"^``{shape.json_name}_?``,? (?!and |or )(?:is |are )?", "", clause))
    words = shape.json_name.replace("_", " ")
    own = is_dataclass(shape.type) and shape.type.__module__.startswith("mappings.concepts.")
    return f"{words}: {_plain(_clauses(shape.type)[0])}" if own else words


def _clauses(cls: type) -> list[str]:
    """The sentences of a docstring, and what semicolons part in them."""
    return re.split(r"(?<=\.)\s+|;\s+", " ".join((cls.__doc__ or "").split()))


def _plain(clause: str) -> str:
    return clause.replace("``", "").replace("`", "").rstrip(".")


# --- what it holds ----------------------------------------------------------------------------

_PLAIN = {str: "text", int: "whole number", bool: "true or false"}


def _type(shape: Shape) -> str:
    if shape.choices:
        return " or ".join(map(_type, shape.choices))
    if shape.refs is not None:
        return f"key of {' or '.join(shape.refs) or 'any item'}"
    if shape.words:
        return "true, or left out" if shape.words == (True,) else "word"
    name = _PLAIN.get(shape.type) or ("number" if not is_dataclass(shape.type) else shape.type.__name__)
    more = [text.meaning for text in shape.texts if text is not LINE]
    more += [f"one of {', '.join(shape.forms)}"] if shape.forms else []
    more += [f"{shape.least} or more"] if shape.least is not None else []
    return f"{name}: {'; '.join(more)}" if more else name


def _cardinality(shape: Shape) -> str:
    return f"{int(shape.required)}..{'*' if shape.many else 1}"


def _units(line: Line, shape: Shape) -> str:
    """The UCUM units: of the field, or of the kind that a line is for."""
    found = re.search(r"\bin ([^;|]+)$", line.holds)
    return ", ".join(shape.units) or (found[1] if found and not shape.texts else "")


def _codes(line: Line, shape: Shape) -> str:
    """The words of a field, each with the codes behind it: present = LA9633-4 (loinc), 52101004 (snomed)."""
    if not shape.words:
        return ""
    if "=" not in line.holds and " | " not in line.holds:
        return " | ".join(map(str, shape.words))
    pairs = [(word, code or word) for word, _, code in (one.partition("=") for one in line.holds.split(" | "))]
    terms = _terms(dict(pairs))
    return " | ".join(_coded(word, code, terms.get(word)) for word, code in pairs)


def _terms(codes: dict[str, str]) -> dict[str, Term]:
    """The terms behind words and their first codes: a table of words, else the one term that has the code."""
    for table in WORDS.values():
        if {word: term.code for word, term in table.items()} == codes:
            return table
    found = {word: [term for term in TERMS if term.code == code] for word, code in codes.items()}
    return {word: terms[0] for word, terms in found.items() if len(terms) == 1}


def _coded(word: str, code: str, term: Term | None) -> str:
    if term is None:
        return word if word == code else f"{word} = {code}"
    return f"{word} = {', '.join(f'{coding.code} ({_SYSTEM[coding.system]})' for coding in term.codings)}"


_SYSTEM = {system.uri: system.system for system in SYSTEMS.values()}


def _value_types(by_path: dict[str, list[Line]]) -> Iterator[Field]:
    """The fields of Concept, Quantity, When and whatever else no table takes apart."""
    apart = {holder for path in by_path for holder in _holders(path)}
    waiting = [_shape(path)[1].type for path in by_path if path not in apart]
    seen: set[type] = set()
    while waiting:
        cls = waiting.pop(0)
        if cls in seen or not is_dataclass(cls):
            continue
        seen.add(cls)
        name, fhir = cls.__name__, re.search(r"\(FHIR (\w+)", cls.__doc__ or "")
        yield Field(name, name, _plain(_clauses(cls)[0]), "", "", "", "", fhir[1] if fhir else "")
        for shape in shapes(cls).values():
            path = f"{name}.{shape.json_name}{'[]' * shape.many}"
            words = " | ".join(map(str, shape.words))
            units, cardinality = ", ".join(shape.units), _cardinality(shape)
            yield Field(name, path, definition(cls, shape), _type(shape), units, words, cardinality, "")
            waiting += [choice.type for choice in (shape.choices or (shape,))]


# --- shown ------------------------------------------------------------------------------------

_INTRO = (
    "Every field of a case document. A cardinality counts within the object that holds the field. Paths in FHIR begin"
    " with the type of the resource; extension(x) is the extension whose url ends in x, component(x) the component"
    " with code x. Codes are given with the short name of their system."
)


def _cells(field: Field) -> list[str]:
    return [
        field.path, field.definition, field.type, field.unit, field.codes, field.cardinality, field.fhir,
    ]  # fmt: skip


def _concepts(fields: list[Field]) -> Iterator[tuple[str, list[Field]]]:
    for concept, found in groupby(fields, lambda field: field.concept):
        yield concept, list(found)


def as_csv(fields: list[Field]) -> str:
    """One table, a row a field."""
    return csv_text(COLUMNS, ([field.concept, *_cells(field)] for field in fields))


def as_markdown(fields: list[Field]) -> str:
    """A heading and a table a concept."""
    parts = ["# Data dictionary", _INTRO]
    for concept, found in _concepts(fields):
        rows = [list(COLUMNS[1:]), ["---"] * 7, *map(_cells, found)]
        shown = (" | ".join(cell.replace("|", "\\|") for cell in row) for row in rows)
        parts += [f"## {concept}", "\n".join(f"| {row} |" for row in shown)]
    return "\n\n".join(parts) + "\n"


_STYLE = (
    "body{font:15px/1.4 system-ui,sans-serif;margin:2rem auto;max-width:90rem;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}td,th{border:1px solid #ccc;padding:.3rem .5rem;text-align:left;"
    "vertical-align:top;overflow-wrap:anywhere}th{background:#eee}nav a{margin-right:.8rem}code{white-space:normal}"
)


def as_html(fields: list[Field]) -> str:
    """One page that needs nothing else."""
    nav = "".join(f'<a href="#{escape(concept)}">{escape(concept)}</a> ' for concept, _ in _concepts(fields))
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in COLUMNS[1:])
    body = ""
    for concept, found in _concepts(fields):
        rows = "".join(f"<tr>{''.join(map(_html_cell, range(7), _cells(field)))}</tr>" for field in found)
        body += f'<h2 id="{escape(concept)}">{escape(concept)}</h2><table><tr>{head}</tr>{rows}</table>\n'
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Data dictionary</title>'
        f"<style>{_STYLE}</style></head><body><h1>Data dictionary</h1><p>{escape(_INTRO)}</p>"
        f"<nav>{nav}</nav>\n{body}</body></html>\n"
    )


def _html_cell(column: int, cell: str) -> str:
    shown = escape(cell)
    return f"<td>{f'<code>{shown}</code>' if column in (0, 6) and shown else shown}</td>"


FORMATS = {"md": as_markdown, "csv": as_csv, "html": as_html}
