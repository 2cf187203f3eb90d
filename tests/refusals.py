"""What is refused and why: the folders of examples/refused, read, run, and told in a table.

Each folder holds a wrong input (``wrong.json``, ``.txt``, ``.bin`` or ``wrong-bundle.json``), its
mended twin, and what to expect: one sentence, and each issue's code and pointer, in order.
``python -m tests.refusals`` writes examples/refused/README.md.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mappings import Case, Issue, MappingError, Report, from_fhir, load_case, to_fhir

HERE = Path(__file__).parent.parent / "examples" / "refused"
HEAD = """# What is refused, and why

Each folder holds a wrong input, its mended twin, and in `expected.json` the code and the JSON pointer
of every issue. A document is refused as a whole, and every problem is told at once. Messages name fields,
codes and units, never a patient's values.

Inputs named `wrong-bundle.json` are FHIR and go to `from_fhir`; all others are case documents and go to `load_case`.
Written by `python -m tests.refusals` from what the code answers.
"""


@dataclass(frozen=True)
class Refusal:
    """One folder."""

    slug: str
    what: str
    input: str
    options: dict[str, Any]
    issues: tuple[tuple[str, str], ...]
    wrong: bytes
    mended: bytes

    def convert(self, raw: bytes) -> tuple[Case, Report]:
        """What a user does with such an input: case -> FHIR, or FHIR -> case, with the folder's options."""
        if self.input == "bundle":
            return from_fhir(raw, **self.options)
        case, report = load_case(raw), Report("case-to-fhir")
        to_fhir(case, report=report, **self.options)
        return case, report

    def refused(self) -> tuple[Issue, ...]:
        """The issues with which the wrong input is refused; none if it is accepted."""
        try:
            self.convert(self.wrong)
        except MappingError as error:
            return error.issues
        return ()


def refusals() -> list[Refusal]:
    """Every folder, in the order of its name."""
    return [_read(folder) for folder in sorted(HERE.iterdir()) if folder.is_dir()]


def _read(folder: Path) -> Refusal:
    expected = json.loads((folder / "expected.json").read_bytes())
    (wrong,) = folder.glob("wrong*")
    return Refusal(
        folder.name,
        expected["what"],
        expected["input"],
        expected.get("options", {}),
        tuple((issue["code"], issue["pointer"]) for issue in expected["issues"]),
        wrong.read_bytes(),
        (folder / "mended.json").read_bytes(),
    )


def message(issue: Issue) -> str:
    """An issue as the table shows it."""
    where = f"`{issue.pointer}` " if issue.pointer else ""
    expected = f" Expected: {issue.expected}." if issue.expected else ""
    return f"{where}{issue.text}{expected} **{issue.code}**"


def table() -> str:
    """The README of the folder."""
    rows = [f"| [{r.slug}]({r.slug}) | {r.what} | {_cell(r.refused())} |" for r in refusals()]
    return "\n".join([HEAD, "| folder | what is wrong | message |", "|---|---|---|", *rows, ""])


def _cell(issues: tuple[Issue, ...]) -> str:
    return "<br>".join(message(issue).replace("|", "\\|") for issue in issues)


if __name__ == "__main__":
    (HERE / "README.md").write_text(table(), encoding="utf-8")
