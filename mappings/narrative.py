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
from mappings.shape import Shape, shapes
from mappings.straight import Script
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
    return str(value) if _is_plain(value.__class__) else _part(value, names)


def _is_plain(cls: type) -> bool:
    """Whether a value of this class has words of its own."""
    return not is_dataclass(cls) or cls.__str__ is not object.__str__


def _part(value: Any, names: Names) -> str:
    """A dataclass in words: what its fields say."""
    told: list[tuple[str, str]] = _lines(value.__class__, True)(value, names, "")
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


_SAY: dict[type, Callable[[Any, Names], str]] = {
    str: lambda text, names: text,
    bool: lambda yes, names: "yes" if yes else "no",
    Concept: lambda concept, names: concept.label,
    Coding: lambda coding, names: coding.display or coding.code,
    When: _when,
    Relative: _relative,
    Source: _source,
}


@cache
def _lines(cls: Any, part: bool) -> Callable[[Any, Names, str], list[Any]]:
    """The function that gives a line for each field of the class that says more than the title, and for each note.

    A line of a ``part`` is (label, words); items of which there are many tell of themselves.
    """
    script = Script(cls.__name__, "lines", "item, names, title", {"says": _says})
    script.say("found = []")
    for name, shape in shapes(cls).items():
        apart = (shape.many and issubclass(shape.type, Item)) or (name == "kind" and issubclass(cls, Item))
        if apart or name in _HIDDEN:
            continue
        script.say(f"value = item.{name}")
        with script.under("if value:" if shape.many else "" if shape.required else "if value is not None:"):
            each = f"'; '.join([text for one in value if (text := {_words(script, shape, 'one')})])"
            script.say(f"text = {each if shape.many else _words(script, shape, 'value')}")
            with script.under("if text not in title or not says(title, text):"):
                script.say(_adds(shape.json_name.replace("_", " "), part))
    if not part and "note" in shapes(cls):
        script.say("for text in item.note:", f"    {_adds('note', part)}")
    script.say("return found")
    return script.compiled()


def _adds(label: str, part: bool) -> str:
    """The line that adds a line."""
    line = f"{label!r} if text == 'yes' else f'{label}: {{text}}'"
    return f"found.append({f'({label!r}, text)' if part else line})"


def _words(script: Script, shape: Shape, value: str) -> str:
    """The expression of what `human` says of a value of this shape."""
    if shape.refs is not None:
        return f"names.get({value}, {value})"
    say = _SAY.get(shape.type, human if shape.choices else _part)
    known = f"str({value})" if say is _part and _is_plain(shape.type) else f"{script.name(say, 'say')}({value}, names)"
    told = {str: value, Concept: f"({value}.text or {value}.label)", Coding: f"({value}.display or {value}.code)"}
    return told.get(shape.type, known)


def _says(title: str, text: str) -> bool:
    """Whether the title says it all: the text stands there as words of its own, or is empty."""
    at = title.find(text) if len(text) > 2 else -1
    while at >= 0:
        before, after = title[at - 1 : at], title[at + len(text) : at + len(text) + 1]
        if not (before.isalnum() or after.isalnum()) and before != "_" != after:
            return True
        at = title.find(text, at + 1)
    return not text


def block(title: str, item: Any, share: Any, names: Names) -> str:
    """One item as XHTML: a heading and a list; of several values only the one that the resource holds."""
    told = _lines(item.__class__, False)(item, names, title)
    if share is not None:
        site = human(share, names)
        site = "site" if site == "yes" else f"site: {site}"
        told = [site if line.partition(":")[0] == "sites" else line for line in told]
    told.insert(0, title)
    if _MARKUP.search("".join(told)):
        told = [_escape(line) for line in told]
    listed = "</li><li>".join(told[1:])
    return f"<p><b>{told[0]}</b></p>{f'<ul><li>{listed}</li></ul>' if listed else ''}"


def narrative(title: str, item: Any, share: Any, language: str, names: Names) -> dict[str, Json]:
    """``Narrative`` with status generated."""
    told = block(title, item, share, names)
    div = f'<div xmlns="http://www.w3.org/1999/xhtml" xml:lang="{language}" lang="{language}">{told}</div>'
    return {"status": "generated", "div": div}


#: What is not itself in XHTML: markup, and control characters, which XML forbids.
_MARKUP = re.compile(r"""[&<>"'\x00-\x1f]""")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def _escape(text: str) -> str:
    """Text for XHTML: markup escaped, control characters left out."""
    return escape(text if text.isprintable() else _CONTROL.sub("", text))
