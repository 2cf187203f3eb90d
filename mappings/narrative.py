"""The generated narrative: an item's own words and figures as XHTML, for people and dom-6.

It says what the fields of the item say and nothing more, so it needs no table of its own. Other
items are called by the name that their own narrative has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from functools import cache
from html import escape
from typing import Any

from mappings.report import Json
from mappings.shape import shapes
from mappings.values import Coding, Concept, Item, Period, Relative, Source, When

Names = Mapping[str, str]
_HIDDEN = ("key", "note", "codings", "sequence")


def human(value: Any, names: Names) -> str:
    """A value in words; empty for nothing to say."""
    if value is None:
        return ""
    say = _SAY.get(type(value))
    if say is not None:
        return say(value, names)
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


def _source(source: Source, names: Names) -> str:
    basis = f" ({source.basis})" if source.basis != "stated" else ""
    return source.locator + basis if source.locator else source.basis


def _each(values: tuple[Any, ...], names: Names) -> str:
    return "; ".join(filter(None, [human(one, names) for one in values]))


_SAY: dict[type, Callable[[Any, Names], str]] = {
    str: lambda text, names: text,
    bool: lambda yes, names: "yes" if yes else "no",
    tuple: _each,
    Concept: lambda concept, names: concept.label,
    Coding: lambda coding, names: coding.display or coding.code,
    When: _when,
    Relative: _relative,
    Source: _source,
}


@cache
def _told(cls: Any) -> tuple[tuple[str, str, bool, bool], ...]:
    """(field, label, whether it holds keys, whether many) of what an item's narrative tells; parts tell themselves."""
    return tuple(
        (name, shape.json_name.replace("_", " "), shape.refs is not None, shape.many)
        for name, shape in shapes(cls).items()
        if not (name in _HIDDEN or (name == "kind" and issubclass(cls, Item)))
        and not (shape.many and issubclass(shape.type, Item))
    )


def lines(item: Any, names: Names, title: str = "") -> list[tuple[str, str]]:
    """(label, words) of each field that says more than the title."""
    found = []
    kind: Any = type(item)
    for name, label, keys, many in _told(kind):
        value = getattr(item, name)
        if value is None:
            continue
        if keys:
            value = tuple(names.get(key, key) for key in (value if many else (value,)))
        text = value if type(value) is str else human(value, names)
        if text and not (len(text) > 2 and text in title and _says(title, text)):
            found.append((label, text))
    return found


def _says(title: str, text: str) -> bool:
    """Whether the text stands in the title as words of its own."""
    at = title.find(text)
    while at >= 0:
        around = title[max(at - 1, 0) : at] + title[at + len(text) : at + len(text) + 1]
        if not any(c.isalnum() or c == "_" for c in around):
            return True
        at = title.find(text, at + 1)
    return False


def block(title: str, item: Any, share: Any, names: Names) -> str:
    """One item as XHTML: a heading and a list; of several values only the one that the resource holds."""
    shown = lines(item, names, title)
    if share is not None:
        shown = [("site", human(share, names)) if name == "sites" else (name, text) for name, text in shown]
    notes = [("note", text) for text in getattr(item, "note", ())]
    told = [name if text == "yes" else f"{name}: {text}" for name, text in shown + notes]
    listed = "".join([f"<li>{_escape(line)}</li>" for line in told])
    return f"<p><b>{_escape(title)}</b></p>{f'<ul>{listed}</ul>' if listed else ''}"


def narrative(title: str, item: Any, share: Any, language: str, names: Names) -> dict[str, Json]:
    """``Narrative`` with status generated."""
    head = f'<div xmlns="http://www.w3.org/1999/xhtml" xml:lang="{language}" lang="{language}">'
    return {"status": "generated", "div": f"{head}{block(title, item, share, names)}</div>"}


#: What is not itself in XHTML: markup, and control characters, which XML forbids.
_MARKUP = re.compile(r"""[&<>"'\x00-\x1f]""")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def _escape(text: str) -> str:
    """Text for XHTML: markup escaped, control characters left out."""
    return escape(text if text.isprintable() else _CONTROL.sub("", text)) if _MARKUP.search(text) else text
