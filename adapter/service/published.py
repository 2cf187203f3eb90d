"""What is served as it stands in files: the web page, and the published conformance resources by type and id."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from flask import Response, abort

import adapter
import mappings
from adapter.service.answers import answer
from adapter.service.asking import FHIR, JSON, accepted, query
from mappings import decode

_FHIR = Path(mappings.__file__).parent / "fhir"
_PAGE = Path(adapter.__file__).parent / "page"
_NAME = re.compile(r"([A-Z][A-Za-z]+)-([A-Za-z0-9.-]+)\.json")
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
#: A page runs its own scripts, talks to this endpoint, and is framed by nobody.
_GUARDED = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def page(name: str = "index.html") -> Response:
    """``GET /`` and ``GET /page/{name}``: the files of the web page."""
    if name not in _pages():
        abort(404)
    return guarded(_pages()[name], _TYPES[Path(name).suffix])


def guarded(raw: bytes, content_type: str) -> Response:
    """A page or a part of one."""
    return Response(raw, headers=_GUARDED, content_type=content_type)


def resource(type_: str, id_: str) -> Response:
    """``GET /fhir/{type}/{id}``: a published conformance resource."""
    if (type_, id_) not in resources():
        abort(404)
    content_type = accepted(FHIR, JSON)
    query()
    return answer(decode(resources()[type_, id_].read_bytes()), content_type)


@cache
def resources() -> dict[tuple[str, str], Path]:
    """The files of the published resources by type and id."""
    found = ((path, _NAME.fullmatch(path.name)) for path in sorted(_FHIR.glob("*.json")))
    return {(match[1], match[2]): path for path, match in found if match}


@cache
def _pages() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(_PAGE.iterdir()) if path.suffix in _TYPES}
