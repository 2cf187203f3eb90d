"""The generated narrative: an item's own words and figures as XHTML, for people and dom-6.

It says what the fields of the item say and nothing more, so it needs no table of its own.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from html import escape
from typing import Any

from mappings.report import Json
from mappings.values import Coding, Concept, Item

_HIDDEN = ("key", "note", "codings")


def human(value: Any) -> str:
    """A value in words; empty for nothing to say."""
    if value is None or value == ():
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Concept):
        return value.label
    if isinstance(value, Coding):
        return value.display or value.code
    if isinstance(value, tuple):
        return "; ".join(filter(None, map(human, value)))
    if not is_dataclass(value) or type(value).__str__ is not object.__str__:
        return str(value)
    return ", ".join(f"{name} {text}" for name, text in lines(value))


def lines(item: Any) -> list[tuple[str, str]]:
    """(label, words) of each field that has something to say; parts speak for themselves."""
    found = []
    for field in fields(item):
        value = getattr(item, field.name)
        if field.name in _HIDDEN or (isinstance(value, tuple) and value and isinstance(value[0], Item)):
            continue
        if text := human(value):
            found.append((field.name.rstrip("_").replace("_", " "), text))
    return found


def block(title: str, item: Any, share: Any) -> str:
    """One item as XHTML: a heading and a list."""
    shown = lines(item) if share is None else [*lines(item), ("here", human(share))]
    notes = [("note", text) for text in getattr(item, "note", ())]
    listed = "".join(f"<li>{escape(name)}: {_escape(text)}</li>" for name, text in shown + notes)
    return f"<p><b>{_escape(title)}</b></p>{f'<ul>{listed}</ul>' if listed else ''}"


def narrative(title: str, item: Any, share: Any, language: str) -> dict[str, Json]:
    """``Narrative`` with status generated."""
    head = f'<div xmlns="http://www.w3.org/1999/xhtml" xml:lang="{language}" lang="{language}">'
    return {"status": "generated", "div": f"{head}{block(title, item, share)}</div>"}


def _escape(text: str) -> str:
    """Text for XHTML: markup escaped, control characters that XML forbids left out."""
    return escape("".join(c for c in text if c >= " " or c in "\t\n\r"))
