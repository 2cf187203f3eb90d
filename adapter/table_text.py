"""The mapping table as text for a screen, as Markdown for the README, and as JSON for programs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict
from itertools import groupby

from adapter.tables import Line, mapping_table
from mappings import encode
from mappings.case import ALTERNATES, TABLES
from mappings.shape import shapes
from mappings.values import Observed

#: The fields that every item has, or every one of its sort: shown once.
_SHARED = tuple(shape.json_name for shape in shapes(Observed).values())
#: What is written without a field into most resources: shown once, too.
_ALWAYS = (("subject", "subject"), ("derived", "performer"))
_INTRO = (
    "A path begins at the resource of the heading; extension(x) is the extension whose url ends in x, component(x) the"
    " component with code x; `word=code` is a word of the case and its code. identifier.value of a resource is"
    " case_id/key. * marks a field that must be there."
)


def names(table: Iterable[Line]) -> list[str]:
    """The concepts of a table, in order."""
    return list(dict.fromkeys(line.concept for line in table))


def about(concept: str | None) -> list[Line]:
    """The lines of one concept, by its name, section or FHIR type in any case; all without one; none if unknown."""
    table = mapping_table()
    if concept is None:
        return table
    wanted = concept.lower()
    return [line for line in table if wanted in (line.concept.lower(), _section(line).lower(), line.resource.lower())]


def _section(line: Line) -> str:
    return line.section.replace("[]", "")


def as_json(table: list[Line]) -> str:
    """The lines as a JSON array, paths in full."""
    return encode([asdict(line) for line in table], pretty=True).decode()


def as_markdown(table: list[Line]) -> str:
    """One small table a concept."""
    parts = [_INTRO]
    for heading, rows in _blocks(table):
        cells = [[f"`{field}`" if field else "", f"`{fhir}`" if fhir else "", row, holds]
                 for field, fhir, row, holds in rows]  # fmt: skip
        head = [["case field", "FHIR", "row", "holds"], ["---"] * 4]
        shown = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in head + cells)
        parts.append(f"**{heading}**\n\n{shown}")
    return "\n\n".join(parts) + "\n"


def as_text(table: list[Line]) -> str:
    """One block a concept, in columns."""
    parts = [_INTRO]
    for heading, rows in _blocks(table):
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        shown = ("  ".join([*map(str.ljust, row, widths), row[3]]).rstrip() for row in rows)
        parts.append("\n".join([heading, *(f"  {row}" for row in shown)]))
    return "\n\n".join(parts) + "\n"


def as_python(table: list[Line]) -> str:
    """What runs for these lines: the functions that the rows of each resource are compiled to."""
    kinds = {(line.concept, line.resource) for line in table}
    found = [one for one in (*TABLES, *ALTERNATES) if (one.cls.__name__, one.type) in kinds]
    return "\n\n".join(
        f"# {one.cls.__name__} <-> {one.type} ({one.name})\n\n{one.rows.writing.text}\n\n{one.rows.reading.text}"
        for one in found
    )


FORMATS = {"text": as_text, "md": as_markdown, "json": as_json, "python": as_python}


def _blocks(table: list[Line]) -> Iterable[tuple[str, list[tuple[str, ...]]]]:
    """(heading, rows) of each concept and resource; what all items share comes once, in front."""
    shared = dict.fromkeys(_cells(line) for line in table if _is_shared(line))
    if shared:
        yield "Most items -> their resource", list(shared)
    for heading, lines in groupby((line for line in table if not _is_shared(line)), _heading):
        yield heading, [_cells(line) for line in lines]


def _is_shared(line: Line) -> bool:
    if not line.field:
        return (line.row, line.fhir) in [(row, (f"{line.resource}.{path}",)) for row, path in _ALWAYS]
    return line.section != "" and line.field.partition(".")[0].removesuffix("[]") in _SHARED


def _heading(line: Line) -> str:
    return f"{line.concept} -> {line.resource}{f', {line.section}' if line.section else ''}"


def _cells(line: Line) -> tuple[str, ...]:
    fhir = ", ".join(_short([path.removeprefix(f"{line.resource}.") for path in line.fhir]))
    only = f" (only {', '.join(line.only)})" if line.only else ""
    return f"{line.field}{' *' if line.required else ''}", fhir, line.row, line.holds + only


def _short(paths: list[str]) -> list[str]:
    """The paths, with several types of one choice element as FHIR writes them: value[x]."""
    stems = [_CHOICE.sub(r"\1[x]", path) for path in paths]
    return list(dict.fromkeys(stem if stems.count(stem) > 1 else path for stem, path in zip(stems, paths, strict=True)))


_CHOICE = re.compile(r"(value|effective|performed|onset|abatement|collected)[A-Z]\w*$")
