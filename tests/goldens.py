"""The golden pairs: ``examples/*/case.json`` and the Bundle that it becomes; and the published case's timeline.

``python -m tests.goldens`` writes them anew. Read the difference, resource by resource,
before you commit it: a wrong row is wrong in both directions, and only a reader sees it.
"""

from __future__ import annotations

from pathlib import Path

from adapter.plot import figure
from mappings import encode, load_case, to_fhir

EXAMPLES = Path(__file__).parent.parent / "examples"
TIMELINE = EXAMPLES / "published-case" / "timeline.svg"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/case.json"))


def case_bytes(name: str) -> bytes:
    """The case document of an example."""
    return (EXAMPLES / name / "case.json").read_bytes()


def golden(name: str) -> Path:
    """Where its Bundle stands."""
    return EXAMPLES / name / "bundle.json"


def made(name: str) -> bytes:
    """The Bundle that the case becomes now."""
    return encode(to_fhir(load_case(case_bytes(name))), pretty=True)


if __name__ == "__main__":
    for name in NAMES:
        golden(name).write_bytes(made(name))
    TIMELINE.write_bytes(figure(load_case(case_bytes("published-case"))))
