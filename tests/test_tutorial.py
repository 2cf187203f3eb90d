"""The tutorial is true: its blocks run in order, in one session, and print what it shows.

``python -m tests.test_tutorial`` writes what they print anew; read the difference before you commit it.
"""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest

from tests.fhir_servers import Fake

ROOT = Path(__file__).parent.parent
TUTORIAL = ROOT / "examples" / "tutorial.md"
BLOCK = re.compile(r"(?P<code>```python\n(?P<python>.*?)```\n)(?P<shown>\n```text\n.*?```\n)?", re.DOTALL)


def ran(text: str) -> str:
    """The tutorial with what its blocks print now, where it shows that; a FHIR server is there for it."""
    with Fake() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("FHIR_SERVER", server.base)
        return _ran(text)


def _ran(text: str) -> str:
    session: dict[str, Any] = {"__name__": "tutorial"}

    def run(block: re.Match[str]) -> str:
        out, line = io.StringIO(), text[: block.start("python")].count("\n")
        with contextlib.redirect_stdout(out):
            exec(compile("\n" * line + block["python"], str(TUTORIAL), "exec"), session)
        return f"{block['code']}\n```text\n{out.getvalue()}```\n" if block["shown"] else block["code"]

    return BLOCK.sub(run, text)


def test_tutorial_runs_and_prints_what_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block goes on where the one before it ended; what follows it is what it prints."""
    monkeypatch.chdir(ROOT)
    text = TUTORIAL.read_text(encoding="utf-8")
    assert len(BLOCK.findall(text)) > 8
    assert ran(text) == text


if __name__ == "__main__":
    TUTORIAL.write_text(ran(TUTORIAL.read_text(encoding="utf-8")), encoding="utf-8")
