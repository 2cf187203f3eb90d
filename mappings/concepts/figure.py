"""A figure of the source: its label, and notes in own words. The picture itself is not carried."""

from __future__ import annotations

from dataclasses import dataclass

from mappings.codec import plain
from mappings.resource import ResourceMap, subject
from mappings.rows import at, constant, derived
from mappings.terms import TERMS
from mappings.values import Line, Noted


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure(Noted):
    """A figure, such as "Figure 2"."""

    label: Line


FIGURE = ResourceMap(
    Figure,
    "Media",
    constant("status", TERMS.media_completed),
    subject(),
    derived("content.language", lambda item, to: to.case.language),
    at("content.title", plain(), "label"),
    profile="smx-figure",
    title=lambda item: item.label,
)
