"""What the case was drawn from, and what its authors say beyond the patient.

The text of a source is never carried, only what identifies it. A statement is a short text in own
words, with the items that it is about.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Annotated, Any

from mappings.codec import Codec, Unread, concept, plain
from mappings.concepts.patient import IDENTIFIER, Identifier
from mappings.many import references
from mappings.report import Json
from mappings.resource import CASE_ITEM, ResourceMap, members, subject
from mappings.rows import at, constant, derived, inside, listed
from mappings.shape import Shape
from mappings.terms import TERMS
from mappings.values import AtLeast, Concept, Item, Key, Line, Ref, Text

#: What a statement may speak of: literature is left out of transactions, and nothing may point to what is gone.
ABOUT = (
    "Condition",
    "Finding",
    "MonoclonalProtein",
    "Measurement",
    "Therapy",
    "Assessment",
    "DiseaseStatus",
    "Tolerance",
)
MIME = Text(r"[^\s/;]+/[^\s;]+(; ?[^\s;=]+=[^\s;]+)*", "a media type, such as application/pdf")
SHA1 = Text(r"[A-Za-z0-9+/]{27}=", "a SHA-1 hash in base64, 28 characters")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document(Item):
    """A source document; ``title`` is told only if the source tells it."""

    label: Line
    title: Line | None = None
    identifiers: tuple[Identifier, ...] = ()
    content_type: Annotated[str, MIME] | None = None
    size: Annotated[int, AtLeast(0)] | None = None
    sha1: Annotated[str, SHA1] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement(Item):
    """What the authors say in general or conclude; ``about`` are the items that it speaks of."""

    title: Line
    text: Line
    code: Concept | None = None
    about: tuple[Annotated[Key, Ref(*ABOUT)], ...] = ()


class Base64Text(Codec):
    """A text <-> the base64 of its UTF-8."""

    yields: type = str

    def bound(self, shape: Shape) -> Codec:
        return self

    def write(self, value: Any, to: Any) -> Json:
        return b64encode(value.encode()).decode("ascii")

    def read(self, json: Json, by: Any) -> Any:
        try:
            return b64decode(json, validate=True).decode()
        except (ValueError, TypeError):
            raise Unread("bad-value", "The data is no base64 of a UTF-8 text.", "base64") from None


def is_foreign(json: dict[str, Json]) -> bool:
    """Whether an identifier is not the case's own, and still in use."""
    return json.get("use") != "old" and CASE_ITEM not in [mark.get("url") for mark in members(json, "extension")]


def language(item: Any, to: Any) -> Json:
    """An attachment without data tells at least its language (a best practice of the HL7 validator)."""
    return to.case.language


DOCUMENT = ResourceMap(
    Document,
    "DocumentReference",
    listed("identifier", IDENTIFIER, "identifiers", is_foreign),
    constant("status", TERMS.document_current),
    subject(),
    at("description", plain(), "title"),
    inside(
        "content[0].attachment",
        at("contentType", plain(), "content_type"),
        derived("language", language),
        at("size", plain(), "size"),
        at("hash", plain(), "sha1"),
        at("title", plain(), "label"),
    ),
    profile="smx-source-document",
    title=lambda item: f"Source: {item.label}",
)
STATEMENT = ResourceMap(
    Statement,
    "DocumentReference",
    constant("status", TERMS.document_current),
    at("type", concept(), "code"),
    subject(),
    inside(
        "content[0].attachment",
        constant("contentType", TERMS.plain_text),
        at("data", Base64Text(), "text"),
        at("title", plain(), "title"),
    ),
    inside("context", references("related", "about")),
    profile="smx-statement",
    title=lambda item: item.title,
)
