"""Tables as CSV (RFC 4180, UTF-8): numbers with their digits, and no text that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from decimal import Decimal

Cell = str | int | Decimal | None
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(header: Iterable[str], rows: Iterable[Iterable[Cell]]) -> str:
    """A header and its rows, lines ended by CRLF; what is not given is an empty cell.

    A text that begins with = + - @ gets an apostrophe in front, so that no spreadsheet takes it
    for a formula. Numbers are written as they are: -20.8 stays a number, 1.80 keeps its digits.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows([_cell(cell) for cell in row] for row in rows)
    return out.getvalue()


def _cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return f"'{cell}" if cell.startswith(_FORMULA) else cell
    return "" if cell is None else str(cell)
