"""One judge a test run, told of everything that the project publishes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.judge.judge import Judge, available

FHIR = Path(__file__).parents[2] / "mappings" / "fhir"


@pytest.fixture(scope="session")
def judge() -> Iterator[Judge]:
    """The judge, with the published profiles and code system fragments; without Java a skip, in CI an error."""
    reason = available()
    if reason is not None and os.environ.get("CI") != "true":
        pytest.skip(f"the independent judge cannot run: {reason}")
    with Judge(FHIR, FHIR / "fragments", timeout=600) as running:
        yield running
