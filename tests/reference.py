"""The API reference from the docstrings, as HTML: ``python -m tests.reference`` writes it to build/docs."""

from __future__ import annotations

import sys
from dataclasses import is_dataclass
from importlib import import_module
from inspect import get_annotations
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import get_type_hints

import pdoc

import mappings.concepts

#: Beside the API, what of the world a Python user calls.
CALLED = {"adapter.flat": ["flat"], "adapter.models": ["as_model"], "adapter.plot": ["figure"]}


def parts() -> list[ModuleType]:
    """The modules that hold what a case is made of: values, and concepts."""
    concepts = [f"mappings.concepts.{one.name}" for one in iter_modules(mappings.concepts.__path__)]
    return [import_module(name) for name in ("mappings.values", *concepts)]


def build(target: Path) -> None:
    """Write the pages; whatever pdoc cannot make sense of is a warning. It changes modules, so in a process of its own.

    Of values and concepts only the dataclasses are shown, not the tables, and each field with its
    plain type: pdoc looks for the names in the annotation of a base class in the wrong module.
    """
    for module in parts():
        own = [one for one in vars(module).values() if isinstance(one, type) and is_dataclass(one)]
        module.__all__ = [one.__name__ for one in own if one.__module__ == module.__name__]
        _plainly(*own)
    _plainly(mappings.Case, mappings.Issue, mappings.Report)
    for name, functions in CALLED.items():
        import_module(name).__all__ = functions
    pdoc.render.configure(docformat="markdown", show_source=False)
    pdoc.pdoc("mappings", "mappings.values", "mappings.concepts", *CALLED, output_directory=target)


def _plainly(*classes: type) -> None:
    for one in classes:
        hints = get_type_hints(one)
        one.__annotations__ = {name: hints[name] for name in get_annotations(one)}
        one.__init__.__annotations__ = {name: hints.get(name) for name in one.__init__.__annotations__}


if __name__ == "__main__":
    where = Path(sys.argv[1] if len(sys.argv) > 1 else "build/docs")
    build(where)
    print(f"the API reference is in {where}/index.html")
