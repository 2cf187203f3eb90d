"""What a case does not hold: what is absent and why, and what rests on more than the source states.

Pure: lists from a `Case`. Nothing is guessed here: an absence is one that the case itself gives, with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from mappings import Case, encode
from mappings.case import SECTIONS
from mappings.check import Place, path_of, places
from mappings.concepts.patient import Patient
from mappings.report import Json
from mappings.values import Absent, Item, Source, ValueOrAbsent, When


@dataclass(frozen=True, slots=True)
class Absence:
    """A field that is there to say that its value is not: why, and in the sender's words, if there are any."""

    pointer: str
    item: str
    field: str
    reason: str
    text: str | None


@dataclass(frozen=True, slots=True)
class Rest:
    """An item, or with ``element`` one element of it, that rests on something else than a statement of the source.

    ``inherited`` is the pointer of the owner whose source it is, if it has none of its own.
    """

    pointer: str
    item: str
    element: str
    basis: str
    locator: str | None
    inherited: str | None


@dataclass(frozen=True, slots=True)
class Gaps:
    """All of it. ``unsourced`` are the keys of items that say nothing of their source; ``empty`` the empty sections."""

    absent: tuple[Absence, ...]
    basis: tuple[Rest, ...]
    unsourced: tuple[str, ...]
    empty: tuple[str, ...]


def gaps(case: Case) -> Gaps:
    """What the case does not hold."""
    found = list(places(case, Case))
    sources = {p.pointer.removesuffix("/source"): p.value for p in found if isinstance(p.value, Source)}
    items = [place for place in found if isinstance(place.value, Item | Patient)]
    return Gaps(
        tuple(one for place in found if (one := _absence(place)) is not None),
        tuple(_rests(found, items, sources)),
        tuple(_key(place) for place in items if _owner(place.pointer, sources) is None),
        tuple(name for name, _ in SECTIONS if getattr(case, name) in ((), None)),
    )


def _key(place: Place) -> str:
    return getattr(place.value, "key", "patient")


# --- absent -----------------------------------------------------------------------------------


def _absence(place: Place) -> Absence | None:
    """What a place says is absent: a time, a value, or a word that is `unknown`."""
    value, reason, text = place.value, None, None
    if isinstance(value, When) and value.absent not in (None, "as-text"):
        reason, text = value.absent, value.text
    elif isinstance(value, ValueOrAbsent) and value.absent is not None:
        reason, text = value.absent.reason, value.absent.text
    elif value == "unknown" and place.shape.words and place.parent not in (When, Absent):
        reason = value
    if reason is None:
        return None
    return Absence(place.pointer, place.item, place.shape.json_name, reason, text)


# --- on what it rests -------------------------------------------------------------------------


def _owner(pointer: str, sources: dict[str, Source]) -> str | None:
    """The nearest item, itself first, that says what it rests on."""
    while pointer:
        if pointer in sources:
            return pointer
        pointer = pointer.rpartition("/")[0]
    return None


def _rests(found: list[Place], items: list[Place], sources: dict[str, Source]) -> Iterator[Rest]:
    """Items, then elements: what is inferred, derived, only in a figure, or not stated at all."""
    for place in items:
        owner = _owner(place.pointer, sources)
        if owner is not None and sources[owner].basis != "stated":
            inherited = None if owner == place.pointer else owner
            yield Rest(place.pointer, _key(place), "", sources[owner].basis, sources[owner].locator, inherited)
    whole = {place.pointer for place in items}
    for place in found:
        here = place.pointer.removesuffix("/source")
        if isinstance(place.value, Source) and here not in whole and place.value.basis != "stated":
            element = here.partition(_pointer_of(here, whole))[2].lstrip("/")
            yield Rest(here, place.item, element, place.value.basis, place.value.locator, None)
        elif place.shape.name.endswith("_basis") and place.value != "stated":
            element = place.shape.name.removesuffix("_basis")
            yield Rest(place.pointer, place.item, element, place.value, None, None)


def _pointer_of(pointer: str, whole: set[str]) -> str:
    """The pointer of the item that holds an element."""
    while pointer and pointer not in whole:
        pointer = pointer.rpartition("/")[0]
    return pointer


# --- shown ------------------------------------------------------------------------------------


def as_json(found: Gaps) -> str:
    """One JSON object; what has nothing to say is left out."""
    return encode(_plain(asdict(found)), pretty=True).decode()


def _plain(value: Any) -> Json:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items() if one not in (None, "")}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def as_text(found: Gaps) -> str:
    """A line each, under four headings; a heading with nothing under it says so."""
    blocks = [
        ("Absent, and why", [_absent_line(one) for one in found.absent]),
        ("Resting on more than the source states", [_rest_line(one) for one in found.basis]),
        ("Without a source", [", ".join(found.unsourced)] if found.unsourced else []),
        ("Sections with nothing in them", [", ".join(found.empty)] if found.empty else []),
    ]
    return "\n\n".join("\n".join([name, *(f"  {line}" for line in lines or ["none"])]) for name, lines in blocks) + "\n"


def _absent_line(one: Absence) -> str:
    return f"{path_of(one.pointer)} ({one.item}): {one.reason}{f', {one.text}' if one.text else ''}"


def _rest_line(one: Rest) -> str:
    basis = one.basis + (f", from {path_of(one.inherited)}" if one.inherited else "")
    return f"{path_of(one.pointer)} ({one.item}): {basis}{f', {one.locator}' if one.locator else ''}"


FORMATS = {"text": as_text, "json": as_json}
