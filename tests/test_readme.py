"""The README is true: its Python runs, its tables are those that the code gives.

``python -m tests.test_readme`` writes the tables anew.
"""

import re
from pathlib import Path

from click.testing import CliRunner

from adapter import settings
from adapter.cli import main

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_python_blocks_run(monkeypatch):
    """Every Python block of the README runs as it stands, from the project's folder."""
    monkeypatch.chdir(ROOT)
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})


def _current():
    text = TEXT
    mapping = CliRunner().invoke(main, ["table", "--format", "md"]).output.strip()
    for name, table in (("table", mapping), ("settings", settings.table())):
        marked = rf"(<!-- {name} -->\n).*(<!-- /{name} -->)"
        text = re.sub(marked, lambda m: f"{m[1]}{table}\n{m[2]}", text, flags=re.DOTALL)  # noqa: B023
    return text


def test_tables_are_current():
    """The mapping table is what `fhir-adapter table --format md` prints, that of settings their own; `make docs`."""
    assert _current() == TEXT


def test_commands_exist():
    """Every `fhir-adapter` command that the README names is one."""
    named = set(re.findall(r"^fhir-adapter ([a-z-]+)", TEXT, re.MULTILINE))
    assert named
    assert named <= set(main.commands)


if __name__ == "__main__":
    (ROOT / "README.md").write_text(_current(), encoding="utf-8")
