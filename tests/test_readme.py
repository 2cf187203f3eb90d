"""The README is true: its Python runs, its table is the one that the tables give."""

import re
from pathlib import Path

from click.testing import CliRunner

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


def test_mapping_table_is_current():
    """The mapping table is what `fhir-adapter table --format md` prints; copy it anew when a table changes."""
    shown = re.search(r"<!-- table -->\n(.*)<!-- /table -->", TEXT, re.DOTALL)
    assert shown is not None
    assert shown[1].strip() == CliRunner().invoke(main, ["table", "--format", "md"]).output.strip()


def test_commands_exist():
    """Every `fhir-adapter` command that the README names is one."""
    named = set(re.findall(r"^fhir-adapter ([a-z-]+)", TEXT, re.MULTILINE))
    assert named
    assert named <= set(main.commands)
