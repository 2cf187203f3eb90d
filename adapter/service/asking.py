"""What a request asks for: its body, its query, the content type that it accepts. What cannot be, is refused.

Everything here raises `MappingError`, as the conversions do; `adapter.service` answers all of them
in one place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from flask import request
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_options_header

from mappings import Issue, MappingError

FHIR, JSON = "application/fhir+json", "application/json"
NDJSON = ("application/fhir+ndjson", "application/ndjson", "application/x-ndjson")
_FORMATS = {"json": (FHIR, JSON), FHIR: (FHIR,), JSON: (JSON,)}
_R4 = ("4.0", "4.0.1")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,40}")

Reader = Callable[[str], Any]


def body(*more: str) -> bytes:
    """The bytes of the request: JSON, or one of ``more`` types, in UTF-8, of FHIR R4, and not compressed."""
    params = {name.lower(): value.lower() for name, value in request.mimetype_params.items()}
    as_expected = (
        request.mimetype in (FHIR, JSON, *more)
        and params.get("charset", "utf-8") in ("utf-8", "utf8")
        and params.get("fhirversion", "4.0") in _R4
    )
    if not as_expected:
        types = " or ".join((FHIR, JSON, *more[:1]))
        raise MappingError(Issue("unsupported-media-type", expected=f"{types}, in UTF-8, fhirVersion 4.0"))
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise MappingError(Issue("unsupported-media-type", expected="a body without Content-Encoding"))
    return request.get_data(cache=False)


def accepted(*offers: str) -> str:
    """The content type to answer with: ``_format`` decides, else `Accept`, else the first offer."""
    if (wanted := request.args.get("_format")) is not None:
        found = next((offer for offer in offers if offer in _FORMATS.get(wanted.replace(" ", "+"), ())), None)
    elif not request.accept_mimetypes.provided:
        found = offers[0]
    else:
        ranges = ((parse_options_header(value), quality) for value, quality in request.accept_mimetypes)
        plain = [(mime, q) for (mime, params), q in ranges if params.get("fhirversion", "4.0") in _R4]
        found = MIMEAccept(plain).best_match(offers)
    if found is None:
        raise MappingError(Issue("not-acceptable", expected=" or ".join(offers)))
    return found


def query(readers: Mapping[str, Reader]) -> dict[str, Any]:
    """The query parameters, read; an unknown, repeated or wrong one is refused.

    A parameter that is ignored looks as if it had been obeyed: `strct=true` must not convert loosely.
    """
    found, issues = {}, []
    for name, values in request.args.lists():
        if name == "_format":
            continue
        if name not in readers:
            issues.append(_wrong(name, f"one of {', '.join([*readers, '_format'])}", "is unknown"))
        elif len(values) > 1:
            issues.append(_wrong(name, "it once", "stands twice"))
        else:
            try:
                found[name] = readers[name](values[0])
            except ValueError as error:
                issues.append(_wrong(name, str(error), "has another value"))
    if issues:
        raise MappingError(issues)
    return found


def _wrong(name: str, expected: str, what: str) -> Issue:
    shown = name if _NAME.fullmatch(name) else "(a name not shown)"
    return Issue("bad-request", f"The query parameter {shown} {what}.", expected=expected)


def boolean(value: str) -> bool:
    """``true`` or ``false``."""
    return one_of("true", "false")(value) == "true"


def one_of(*words: str) -> Callable[[str], str]:
    """A reader for one of these words."""

    def read(value: str) -> str:
        if value not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return value

    return read


def instant(value: str) -> str:
    """A time; its ``+`` arrives as a space where the sender did not write it as %2B, and no time has a space."""
    return value.replace(" ", "+")
