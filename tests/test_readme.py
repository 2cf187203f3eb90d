"""The README is true: its Python runs, its table is the one that the tables give.

``python -m tests.test_readme`` writes the table anew.
"""

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


def _current():
    table = CliRunner().invoke(main, ["table", "--format", "md"]).output.strip()
    return re.sub(r"(<!-- table -->\n).*(<!-- /table -->)", lambda m: f"{m[1]}{table}\n{m[2]}", TEXT, flags=re.DOTALL)


def test_mapping_table_is_current():
    """The mapping table is what `fhir-adapter table --format md` prints; `make docs` writes it anew."""
    assert _current() == TEXT


def test_commands_exist():
    """Every `fhir-adapter` command that the README names is one."""
    named = set(re.findall(r"^fhir-adapter ([a-z-]+)", TEXT, re.MULTILINE))
    assert named
    assert named <= set(main.commands)


if __name__ == "__main__":
    (ROOT / "README.md").write_text(_current(), encoding="utf-8")
