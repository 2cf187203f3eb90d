"""The error catalogue at ``GET /errors``: an entry for every stable issue code."""

from __future__ import annotations

from functools import cache
from html import escape

from flask import Response

from adapter.service.answers import RETRY, status_of
from adapter.service.published import guarded
from mappings.report import CATALOGUE

_HEAD = ("Code", "Severity", "FHIR issue type", "Status", "Meaning", "What to do", "X-Retry")


def errors() -> Response:
    """``GET /errors``: the page."""
    return guarded(_page(), "text/html; charset=utf-8")


@cache
def _page() -> bytes:
    head = "".join(f"<th>{name}</th>" for name in _HEAD)
    rows = "\n".join(map(_row, sorted(CATALOGUE)))
    about = "Status 200: it is told in the report of a conversion, which it does not refuse."
    return (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Issue codes</title>\n'
        f"<h1>Issue codes</h1>\n<p>{about}</p>\n<table><thead><tr>{head}</tr></thead><tbody>\n{rows}\n"
        "</tbody></table>\n</html>\n"
    ).encode()


def _row(code: str) -> str:
    kind, status = CATALOGUE[code], status_of(code)
    cells = (kind.severity, kind.issue_type, status, kind.meaning, kind.remedy, RETRY.get(status, ""))
    entry = f'<tr id="{code}"><th scope="row"><a href="#{code}">{code}</a></th>'
    return entry + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>"
