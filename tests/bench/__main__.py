"""`make bench`: the figures of every module of this folder that has ``rows()``, as a table and in build/bench.json.

Nothing is asserted. Each module measures what it compares in one run, in interleaved rounds (`medians`).
"""

from __future__ import annotations

import json
import pkgutil
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

import tests.bench
from tests.bench.table import Row

OUT = Path("build/bench.json")


def modules() -> dict[str, Any]:
    """The modules of this folder that have ``rows()``, by name; one that begins with an underscore helps another."""
    names = [info.name for info in pkgutil.iter_modules(tests.bench.__path__) if not info.name.startswith("_")]
    found = {name: import_module(f"tests.bench.{name}") for name in names}
    return {name: module for name, module in found.items() if hasattr(module, "rows")}


def main() -> None:
    """Measure, print, write."""
    found: dict[str, list[Row]] = {}
    for name, module in modules().items():
        found[name] = module.rows()
        print(f"{name}: {(module.__doc__ or '').splitlines()[0]}")
        print("\n".join(row.line() for row in found[name] if row.goal is None), flush=True)
    print("what is to be reached, what was measured, and whether it is enough")
    print("\n".join(row.line() for rows in found.values() for row in rows if row.goal is not None))
    OUT.parent.mkdir(exist_ok=True)
    told = {name: [asdict(row) | {"reached": row.reached} for row in rows] for name, rows in found.items()}
    OUT.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
