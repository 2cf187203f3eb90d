"""What the adapter makes beside the case: identities, Provenance, its own Device, the Bundle's frame.

Nothing here reads a clock or makes a random id. Generated resources are known by their profile
and never become part of a case.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha1
from typing import Any
from urllib.parse import quote

from mappings import wire
from mappings.codec import coding_json, dar_extension, own, term_json
from mappings.report import Json
from mappings.resource import Identity
from mappings.straight import anew
from mappings.terms import BASE, TERMS, WORDS

VERSION = "0.1.0"
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, BASE)
PROVENANCE, SOFTWARE, COMPOSITION = own("smx-provenance"), own("smx-device-software"), own("smx-composition")
SOFTWARE_SYSTEM = f"{BASE}/sid/software"
SOFTWARE_VALUE = f"scleromyxedema-fhir-adapter/{VERSION}"
_NAMESPACE = NAMESPACE.bytes
_VARIANT = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))
SOFTWARE_ID = str(uuid.uuid5(NAMESPACE, SOFTWARE_VALUE))


def resource_id(case: Identity, type_: str, key: str) -> str:
    """The id of an item's resource: the same case, item and type always get the same one.

    It is `uuid.uuid5` in our namespace, as text (RFC 4122, 4.3).
    """
    name = f"{case.case_system} {case.case_id} {type_} {key}".encode()
    text = sha1(_NAMESPACE + name, usedforsecurity=False).hexdigest()
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:32]}"


@cache
def _security(words: tuple[str, ...]) -> Callable[[], Any]:
    """What makes the member for these words."""
    return anew({"security": [coding_json(WORDS["security"][word].codings[0]) for word in words]} if words else {})


def labelling(case: Identity) -> Callable[[], dict[str, Json]]:
    """What makes ``meta.security`` and ``meta.tag`` of every resource of the case, each anew."""
    make = _security(case.security)
    return (lambda: make() | {"tag": [coding_json(tag) for tag in case.tags]}) if case.tags else make


def labels(case: Identity) -> dict[str, Json]:
    """``meta.security`` and ``meta.tag`` of one resource of the case."""
    return labelling(case)()


def div(language: str, text: str) -> dict[str, Json]:
    head = f'<div xmlns="http://www.w3.org/1999/xhtml" xml:lang="{language}" lang="{language}">'
    return {"status": "generated", "div": f"{head}<p>{text}</p></div>"}


def software() -> dict[str, Json]:
    """The adapter itself, as the Device that assembled the Bundle: the same in every case, so without labels."""
    return {
        "resourceType": "Device",
        "id": SOFTWARE_ID,
        "meta": {"profile": [SOFTWARE]},
        "language": "en",
        "text": div("en", f"Software {SOFTWARE_VALUE}"),
        "identifier": [{"system": SOFTWARE_SYSTEM, "value": SOFTWARE_VALUE}],
        "type": term_json(TERMS.adapter_software),
        "version": [{"value": VERSION}],
    }


def provenance(case: Identity, targets: Sequence[str], software_ref: str, recorded: str | None) -> dict[str, Json]:
    """How the Bundle came to be. Its targets, in order, also carry the order of the case."""
    out: dict[str, Json] = {
        "resourceType": "Provenance",
        "id": resource_id(case, "Provenance", "provenance"),
        "meta": {"profile": [PROVENANCE]} | labels(case),
        "language": case.language,
        "text": div(case.language, f"Transformed by {SOFTWARE_VALUE}"),
        "target": [{"reference": ref} for ref in targets],
    }
    if recorded is None:
        out["_recorded"] = {"extension": [dar_extension("unknown")]}
    else:
        out["recorded"] = recorded
    steps = (*TERMS.data_create.codings, *TERMS.transform.codings)
    out["activity"] = {"coding": [coding_json(step) for step in steps], "text": TERMS.transform.display}
    who = {"reference": software_ref}
    out["agent"] = [{"type": term_json(TERMS.assembler), "who": who}]
    return out


def request(resource: dict[str, Json], conditional: bool) -> dict[str, Json]:
    """The request of a transaction entry.

    ``put``: by id. ``conditional``: by identifier, the body without its id (a server refuses one
    that differs from its own); what has no identifier in R4 is created, software only if missing.
    """
    type_, id_ = resource["resourceType"], resource["id"]
    if not conditional:
        return {"method": "PUT", "url": f"{type_}/{id_}"}
    del resource["id"]
    if "identifier" not in resource:
        return {"method": "POST", "url": type_}
    own_id = resource["identifier"][0]
    search = f"identifier={_token(own_id['system'])}%7C{_token(own_id['value'])}"
    if resource.get("meta", {}).get("profile") == [SOFTWARE]:
        return {"method": "POST", "url": type_, "ifNoneExist": search}
    return {"method": "PUT", "url": f"{type_}?{search}"}


def _token(text: str) -> str:
    """One part of a search token: first escaped for FHIR, where a comma means "or", then for the URL."""
    return quote(re.sub(r"([\\,$|])", r"\\\1", text), safe=":/")


def frame(case: Identity, bundle_type: str, entries: list[dict[str, Json]], recorded: str | None) -> dict[str, Json]:
    """The Bundle around the entries."""
    out: dict[str, Json] = {"resourceType": "Bundle", "id": resource_id(case, "Bundle", bundle_type)}
    if meta := labels(case):
        out["meta"] = meta
    if bundle_type == "document":  # new content, new identifier
        content = uuid.uuid5(NAMESPACE, wire.encode(entries).decode())
        out["identifier"] = {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{content}"}
    out["type"] = bundle_type
    if recorded is not None:
        out["timestamp"] = recorded
    out["entry"] = entries
    return out


def is_generated(resource: dict[str, Any]) -> bool:
    """Whether this adapter made the resource beside a case."""
    meta = resource.get("meta")
    profiles = meta.get("profile") if isinstance(meta, dict) else None
    return isinstance(profiles, list) and (PROVENANCE in profiles or SOFTWARE in profiles or COMPOSITION in profiles)
