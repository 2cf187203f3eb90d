"""The rooms: `mappings` is pure, and its modules look downwards only; a wrong table fails when it is made."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from mappings.choices import word_value
from mappings.codec import Word, concept, plain
from mappings.resource import ResourceMap
from mappings.rows import at
from mappings.values import Concept, Item, Line

ROOT = Path(__file__).parent.parent
WORLD = {"adapter", "flask", "requests", "os", "socket", "time", "subprocess", "click", "fhir"}
#: Each module may import those before it; the concepts stand between `resource` and `case`.
ORDER = [
    "notebook",
    "straight",
    "values",
    "shape",
    "compiled",
    "report",
    "locate",
    "wire",
    "terms",
    "narrative",
    "codec",
    "rows",
    "many",
    "choices",
    "lens",
    "resource",
    "doubts",
    "concepts",
    "generated",
    "case",
    "check",
    "versions",
    "entries",
    "index",
    "planning",
    "received",
    "derive",
    "composition",
    "plausibility",
    "explain",
    "schema",
    "account",
    "reading",
    "links",
    "onto",
    "bundle",
]


def imports(path: Path) -> set[str]:
    """The modules that a file imports when it is imported, types for checkers left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{name.name}" for name in node.names}
    return found


FILES = sorted((ROOT / "mappings").rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_mappings_is_pure(path: Path) -> None:
    """No module of `mappings` touches the world: no adapter, socket, clock, or screen."""
    assert not {name.partition(".")[0] for name in imports(path)} & WORLD


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_look_downwards(path: Path) -> None:
    """case -> concepts -> resource -> rows -> codec -> values, report, terms, and never the other way."""
    here = path.relative_to(ROOT / "mappings").parts[0].removesuffix(".py")
    if here == "__init__":
        return
    used = {name.split(".")[1] for name in imports(path) if name.startswith("mappings.") and name.count(".")}
    later = [name for name in used if name in ORDER and name != here and ORDER.index(name) > ORDER.index(here)]
    assert later == []


def test_what_only_explains_is_not_imported_for_a_sound_case() -> None:
    """marshmallow takes as long to import as the engine: only a refused document needs it."""
    text = """
import sys
from mappings import dump_case, load_case
dump_case(load_case(open("examples/published-case/case.json", "rb").read()))
sys.exit("marshmallow" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", text], cwd=ROOT, check=False).returncode == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Toy(Item):
    """A toy item."""

    colour: Line | None = None
    shape: Concept | None = None


def _table(*rows: object) -> ResourceMap:
    return ResourceMap(Toy, "Basic", *rows, profile="smx-toy", title=lambda item: "toy")  # type: ignore[arg-type]


def test_a_field_that_no_row_maps_is_an_error_at_import() -> None:
    """A forgotten field would be lost in silence."""
    with pytest.raises(TypeError, match=r"not mapped \['shape'\]"):
        _table(at("code.text", plain(), "colour"))


def test_a_field_that_two_rows_map_is_an_error_at_import() -> None:
    """Two homes of a fact can disagree."""
    with pytest.raises(TypeError, match=r"mapped twice \['colour'\]"):
        _table(at("a", plain(), "colour"), at("b", plain(), "colour"), at("code", concept(), "shape"))


def test_a_codec_of_another_type_is_an_error_at_import() -> None:
    """The codec must yield what the field holds."""
    with pytest.raises(TypeError, match="colour"):
        _table(at("a", concept(), "colour"), at("code", concept(), "shape"))


def test_words_that_are_not_those_of_the_table_are_an_error_at_import() -> None:
    """A word table is complete for its field."""
    with pytest.raises(TypeError, match="colour"):
        _table(word_value("presence", "colour"), at("code", concept(), "shape"))
    with pytest.raises(KeyError):
        Word("no such table", "code")
