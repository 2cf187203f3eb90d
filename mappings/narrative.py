"""The generated narrative: an item's own words and figures as XHTML, for people and dom-6.

It says what the fields of the item say and nothing more, so it needs no table of its own. Other
items are called by the name that their own narrative has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import is_dataclass
from html import escape
from typing import Any

from mappings.report import Json
from mappings.shape import shapes
from mappings.values import Coding, Concept, Item, Period, Relative, Source, When

Names = Mapping[str, str]
_HIDDEN = ("key", "note", "codings", "sequence")


def human(value: Any, names: Names) -> str:
    """A value in words; empty for nothing to say."""
    if value is None or value == ():
        return ""
    if isinstance(value, str | bool):
        return value if isinstance(value, str) else "yes" if value else "no"
    if isinstance(value, Concept | Coding):
        return value.label if isinstance(value, Concept) else value.display or value.code
    if isinstance(value, tuple):
        return "; ".join(filter(None, (human(one, names) for one in value)))
    if isinstance(value, When):
        return _when(value, names)
    if isinstance(value, Relative):
        return _relative(value, names)
    if isinstance(value, Source):
        basis = f" ({value.basis})" if value.basis != "stated" else ""
        return value.locator + basis if value.locator else value.basis
    if not is_dataclass(value) or type(value).__str__ is not object.__str__:
        return str(value)
    told = lines(value, names)
    if told and told[0][0] in ("code", "type"):  # "colour: yellowish" reads better than "code colour, value yellowish"
        rest = ", ".join(f"({text})" if name == "source" else text for name, text in told[1:])
        return told[0][1] + ("" if not rest else f" {rest}" if rest.startswith("(") else f": {rest}")
    return ", ".join(f"{name} {text}" for name, text in told)


def _when(when: When, names: Names) -> str:
    if when.absent is not None:
        return f"not known ({when.text or when.absent})"
    if when.encounter is not None:
        return f"during {names.get(when.encounter, when.encounter)}"
    if when.period is not None:
        return _period(when.period, names)
    text = human(when.relative, names) if when.relative else f"age {when.age}" if when.age else str(when.at)
    return text + (f" ({when.text})" if when.text else "")


def _period(period: Period, names: Names) -> str:
    start, end = human(period.start, names), human(period.end, names)
    if start and end:
        return f"{start} to {end}"
    told = isinstance(period.start or period.end, Relative)
    return f"{'began' if told else 'from'} {start}" if start else f"{'ended' if told else 'until'} {end}"


def _relative(time: Relative, names: Names) -> str:
    """ "3 years before the start of ...": the distance, the relation, the anchor."""
    relation, _, edge = time.relation.rpartition("-")
    relation, edge = (relation, f"the {edge} of ") if edge in ("start", "end") else (time.relation, "")
    how_far = f"{time.offset_text or time.offset or time.offset_range or ''} "
    link = "at" if relation == "concurrent-with" else "during" if relation == "concurrent" else relation
    return f"{how_far.lstrip()}{link} {edge}{names.get(time.anchor, time.anchor)}"


def lines(item: Any, names: Names, title: str = "") -> list[tuple[str, str]]:
    """(label, words) of each field that says more than the title; parts speak for themselves."""
    found = []
    for name, shape in shapes(type(item)).items():
        value = getattr(item, name)
        if (
            name in _HIDDEN
            or (name == "kind" and isinstance(item, Item))
            or (isinstance(value, tuple) and value and isinstance(value[0], Item))
        ):
            continue
        if shape.refs is not None and value:
            value = tuple(names.get(key, key) for key in (value if shape.many else (value,)))
        text = human(value, names)
        if text and not (len(text) > 2 and re.search(rf"(?<!\w){re.escape(text)}(?!\w)", title)):
            found.append((shape.json_name.replace("_", " "), text))
    return found


def block(title: str, item: Any, share: Any, names: Names) -> str:
    """One item as XHTML: a heading and a list; of several values only the one that the resource holds."""
    shown = lines(item, names, title)
    if share is not None:
        shown = [("site", human(share, names)) if name == "sites" else (name, text) for name, text in shown]
    notes = [("note", text) for text in getattr(item, "note", ())]
    told = (name if text == "yes" else f"{name}: {text}" for name, text in shown + notes)
    listed = "".join(f"<li>{_escape(line)}</li>" for line in told)
    return f"<p><b>{_escape(title)}</b></p>{f'<ul>{listed}</ul>' if listed else ''}"


def narrative(title: str, item: Any, share: Any, language: str, names: Names) -> dict[str, Json]:
    """``Narrative`` with status generated."""
    head = f'<div xmlns="http://www.w3.org/1999/xhtml" xml:lang="{language}" lang="{language}">'
    return {"status": "generated", "div": f"{head}{block(title, item, share, names)}</div>"}


def _escape(text: str) -> str:
    """Text for XHTML: markup escaped, control characters that XML forbids left out."""
    return escape("".join(c for c in text if c >= " " or c in "\t\n\r"))
