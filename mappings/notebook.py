"""How a case and a report show themselves in a notebook: a small table, everything in it escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


def table(caption: str, header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """An HTML table of plain cells; numbers stand on the right."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    side = ' style="text-align:right"' if isinstance(value, int) else ' style="text-align:left"'
    return f"<td{side}>{escape(str(value))}</td>"
