"""What every published resource has: identity, version, date, narrative, members in R4's order."""

from __future__ import annotations

from html import escape
from typing import Any

from adapter import RELEASE_DATE
from adapter.artifacts.elements import Place, ordered
from mappings.generated import VERSION, div
from mappings.report import Json
from mappings.terms import BASE

PUBLISHER = "scleromyxedema-fhir-adapter"


def published(type_: str, id_: str, title: str, description: str, **members: Json) -> dict[str, Json]:
    """One resource; ``members`` win over what all have."""
    resource: dict[str, Any] = {
        "resourceType": type_,
        "id": id_,
        "language": "en",
        "text": div("en", escape(f"{title}: {description}")),
        "url": f"{BASE}/{type_}/{id_}",
        "version": VERSION,
        "name": "".join(part[:1].upper() + part[1:] for part in id_.split("-")),
        "title": title,
        "status": "active",
        "experimental": False,
        "date": RELEASE_DATE,
        "publisher": PUBLISHER,
        "description": description,
    }
    found: dict[str, Json] = ordered(resource | members, Place(type_))
    return found


def titled(name: str) -> str:
    """``smx-skin-thickness`` as "Skin thickness"."""
    return name.removeprefix("smx-").replace("-", " ").capitalize()
