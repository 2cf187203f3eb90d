"""Archives for tests and figures: the examples' cases, one a line, each with a `case_id` of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mappings import decode, encode
from tests.goldens import case_bytes

#: how a line is broken, and the code of the refusal; no blank line among them
BROKEN = (
    (lambda line: line[:-20], "not-json"),
    (lambda line: line.replace(b'"language"', b'"langage"'), "missing-field"),
    (lambda line: line.replace(b'"schema_version":"1.0"', b'"schema_version":"7"'), "bad-value"),
    (lambda line: line.replace(b'"en"', b'"\xff"'), "not-utf8"),
)


def cases(count: int, example: str = "minimal") -> Iterator[bytes]:
    """So many lines, without their ends."""
    case = decode(case_bytes(example))
    for number in range(count):
        yield encode({**case, "case_id": f"{example}-{number}"})


def spoilt(lines: list[bytes], count: int) -> dict[int, str]:
    """Break so many lines, spread evenly; gives their numbers (from 1) and the code that refuses each."""
    found = {}
    for nth in range(count):
        where = (2 * nth + 1) * len(lines) // (2 * count)
        breaks, code = BROKEN[nth % len(BROKEN)]
        lines[where] = breaks(lines[where])
        found[where + 1] = code
    return found


def write(path: Path, lines: list[bytes]) -> Path:
    """The lines as a file."""
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path
