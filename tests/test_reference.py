"""The API reference: it builds without a warning, and everything public in it says what it is."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from dataclasses import is_dataclass
from importlib import import_module
from pathlib import Path

import pytest

import mappings
from tests.reference import CALLED, parts

ROOT = Path(__file__).parent.parent
PARTS = [
    one
    for module in parts()
    for one in vars(module).values()
    if isinstance(one, type) and is_dataclass(one) and one.__module__ == module.__name__
]
FUNCTIONS = [getattr(import_module(module), name) for module, names in CALLED.items() for name in names]
API = [one for name in mappings.__all__ if callable(one := getattr(mappings, name))]


def test_reference_builds_without_a_warning(tmp_path: Path) -> None:
    """`make docs` writes a page a module; each public name and each concept is in one."""
    command = [sys.executable, "-W", "error", "-m", "tests.reference", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    pages = {str(page.relative_to(tmp_path)): page.read_text(encoding="utf-8") for page in tmp_path.rglob("*.html")}
    assert all(f'id="{name}"' in pages["mappings.html"] for name in mappings.__all__)
    for one in PARTS:
        assert f'id="{one.__name__}"' in pages[f"{one.__module__.replace('.', '/')}.html"]


@pytest.mark.parametrize("one", [*API, *FUNCTIONS, *PARTS], ids=lambda one: one.__qualname__)
def test_what_is_public_says_what_it_is(one: type) -> None:
    """A docstring of its own, and one of each public method and property: not the signature that Python makes up."""
    members = (
        [
            member
            for name, member in vars(one).items()
            if not name.startswith("_") and (callable(member) or isinstance(member, property))
        ]
        if isinstance(one, type)
        else []
    )
    for told in (one, *members):
        assert re.match(r"[A-Z`][^()]{9,}", inspect.getdoc(told) or ""), told


def test_a_function_tells_what_it_raises() -> None:
    """Each that reads or writes a document names `MappingError`, or cannot refuse."""
    cannot = {mappings.dump_case, mappings.encode, mappings.case_json_schema}
    for one in API:
        if inspect.isfunction(one) and one not in cannot:
            assert "MappingError" in (one.__doc__ or ""), one
