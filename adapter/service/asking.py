"""What a request asks for: its body, its query, what it accepts and prefers. What cannot be, is refused.

Everything here raises `MappingError`, as the conversions do; `adapter.service.answers` answers all of them
in one place.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from flask import current_app, g, request
from werkzeug.datastructures import MIMEAccept
from werkzeug.exceptions import HTTPException, RequestTimeout
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from adapter.service.contract import OPERATIONS
from mappings import Issue, MappingError

FHIR, JSON, MULTIPART = "application/fhir+json", "application/json", "multipart/form-data"
NDJSON = ("application/fhir+ndjson", "application/ndjson", "application/x-ndjson")
_FORMATS = {"json": (FHIR, JSON), FHIR: (FHIR,), JSON: (JSON,)}
_R4 = ("4.0", "4.0.1")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,40}")
_CHUNK = 2**16
#: How many times the largest body is read to its end, to be refused.
DRAINED = 4
#: A series of gzip members is one body, but not of any number of empty ones.
_MEMBERS = 10_000


# --- the body -----------------------------------------------------------------------------------


def body(*more: str) -> bytes:
    """The bytes of the request, unpacked: JSON, or one of ``more`` types, in UTF-8, of FHIR R4."""
    params = {name.lower(): value.lower() for name, value in request.mimetype_params.items()}
    as_expected = (
        request.mimetype in (FHIR, JSON, *more)
        and params.get("charset", "utf-8") in ("utf-8", "utf8")
        and params.get("fhirversion", "4.0") in _R4
    )
    if not as_expected:
        types = " or ".join((FHIR, JSON, *more[:1]))
        raise MappingError(Issue("unsupported-media-type", expected=f"{types}, in UTF-8, fhirVersion 4.0"))
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip", "x-gzip"):
        raise MappingError(Issue("unsupported-media-type", expected="Content-Encoding gzip, or none"))
    raw = b"".join(_chunks()) if coding == "identity" else _unpacked(_chunks())
    g.sizes["in"] = len(raw)
    return raw


def parts() -> dict[str, bytes]:
    """The documents of the request: ``case``, and ``onto`` where it comes as multipart/form-data."""
    if request.mimetype != MULTIPART:
        return {"case": body(MULTIPART)}
    found = _form(body(MULTIPART), request.mimetype_params.get("boundary", ""))
    if found.keys() - {"onto"} != {"case"}:
        raise MappingError(Issue("bad-request", "The form has other parts.", expected="parts named case and onto"))
    return found


def _chunks() -> Iterator[bytes]:
    """The body as it comes; its end that does not come is the sender's fault, whatever the server raises for it."""
    most, said = current_app.config["SETTINGS"].max_body, request.content_length
    large = MappingError(Issue("too-large", expected=f"{most} bytes or fewer"))
    if request.headers.get("Transfer-Encoding", "chunked").strip().lower() != "chunked":
        raise MappingError(Issue("bad-request", expected="Transfer-Encoding: chunked, or none"))
    if said is not None and said > most:
        raise large
    length, chunk = 0, b"-"
    while chunk and length != said:
        try:
            chunk = request.stream.read(_CHUNK)
        except HTTPException:
            raise
        except (TimeoutError, BlockingIOError) as error:  # the latter where the socket itself has a timeout
            g.broken = True
            raise RequestTimeout from error
        except Exception as error:
            g.broken = True
            raise MappingError(Issue("bad-request", "The body broke off.")) from error
        if (length := length + len(chunk)) > most:
            raise large
        yield chunk
    if length < (said or 0):
        raise MappingError(Issue("bad-request", "The body broke off."))


def drain() -> None:
    """Read what is left of a body, unless it broke off: a caller that is still sending would not see the answer."""
    if g.broken:
        return
    left = DRAINED * current_app.config["SETTINGS"].max_body
    try:
        while left > 0 and (chunk := request.environ["wsgi.input"].read(_CHUNK)):
            left -= len(chunk)
    except Exception:  # whatever the server raises: then nobody is sending any more
        return


def _unpacked(chunks: Iterable[bytes]) -> bytes:
    """gzip, unpacked no further than to the limit."""
    most = current_app.config["SETTINGS"].max_unpacked
    out, member, members = bytearray(), zlib.decompressobj(31), 1
    try:
        for chunk in chunks:
            while chunk:
                if member.eof:
                    member, members = zlib.decompressobj(31), members + 1
                out += member.decompress(chunk, most + 1 - len(out))
                if len(out) > most or members > _MEMBERS:
                    raise MappingError(Issue("too-large", expected=f"{most} bytes or fewer, unpacked"))
                chunk = member.unconsumed_tail or member.unused_data
    except zlib.error as error:
        raise MappingError(Issue("not-gzip")) from error
    if not member.eof:
        raise MappingError(Issue("not-gzip"))
    return bytes(out)


def _form(raw: bytes, boundary: str) -> dict[str, bytes]:
    """The parts of multipart/form-data by name; held in memory, never in a file."""
    found: dict[str, bytes] = {}
    try:
        decoder = MultipartDecoder(boundary.encode("ascii"), max_parts=3)
        decoder.receive_data(raw)
        decoder.receive_data(None)
        name = ""
        while not isinstance(event := decoder.next_event(), Epilogue | NeedData):
            if isinstance(event, Field | File):
                name = event.name
                if name in found:
                    raise ValueError("a part twice")
                found[name] = b""
            elif isinstance(event, Data):
                found[name] += event.data
    except (ValueError, HTTPException) as error:
        expected = "whole multipart/form-data with the parts case and onto, each once"
        raise MappingError(Issue("bad-request", "The form cannot be read.", expected=expected)) from error
    return found


# --- the answer that is wanted --------------------------------------------------------------------


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


def preferred() -> str:
    """The ``return`` of `Prefer`: ``representation``, ``minimal``, ``operationoutcome``, or empty.

    A preference that is not known is no fault (RFC 7240).
    """
    for preference in request.headers.get("Prefer", "").split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "return":
            wanted = value.strip(' "').lower()
            return wanted if wanted in ("representation", "minimal", "operationoutcome") else ""
    return ""


# --- the query ------------------------------------------------------------------------------------


def query(operation: str = "") -> dict[str, Any]:
    """The query parameters of an operation, read; an unknown, repeated or wrong one is refused.

    A parameter that is ignored looks as if it had been obeyed: `strct=true` must not convert loosely.
    """
    known = {one.name: one for one in OPERATIONS[operation].parameters} if operation else {}
    found, issues = {}, []
    for name, values in request.args.lists():
        if name == "_format":
            continue
        if name not in known:
            issues.append(_wrong(name, f"one of {', '.join([*known, '_format'])}", "is unknown"))
        elif len(values) > 1:
            issues.append(_wrong(name, "it once", "stands twice"))
        else:
            try:
                found[name] = known[name].read(values[0])
            except ValueError as error:
                issues.append(_wrong(name, str(error), "has another value"))
    if issues:
        raise MappingError(issues)
    return found


def _wrong(name: str, expected: str, what: str) -> Issue:
    shown = name if _NAME.fullmatch(name) else "(a name not shown)"
    return Issue("bad-request", f"The query parameter {shown} {what}.", expected=expected)
