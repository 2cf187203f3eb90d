"""The speed of the R4 checker, against fhir.resources on the same bundle in the same run, and with its size."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from adapter.r4 import check
from adapter.r4.rules import Table, table
from tests.r4.specimens import BASE, PATIENT, PLAIN, SOUND, entry

Json = Any


def quickest(run: Callable[[], object], times: int) -> float:
    """Time the quickest of several runs."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return min(found)


def numbered(number: int, one: Json) -> Json:
    """Make an entry with an id of its own."""
    return {"fullUrl": f"{BASE}{one['resourceType']}/{number}", "resource": {**one, "id": str(number)}}


def collection(entries: int) -> Json:
    """Make a collection of observations of one patient."""
    observations = [numbered(number, PLAIN) for number in range(entries)]
    return {"resourceType": "Bundle", "type": "collection", "entry": [entry(1, PATIENT), *observations]}


def test_ratio() -> None:
    """The rules take at most 0.30 of the time of the models."""
    models = pytest.importorskip("fhir.resources.R4B.bundle", reason="fhir.resources is not installed")
    # the models do not take `_effectiveDateTime` for the required `effective[x]`
    resources = [one for name, one in SOUND.items() if one["resourceType"] != "Bundle" and name != "administration"]
    entries = [numbered(number, resources[number % len(resources)]) for number in range(60)]
    document = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    assert [issue.line() for issue in check(document) if issue.rule != "bundle-reference"] == []
    ratios = []
    for _ in range(3):
        model = quickest(lambda: models.Bundle.model_validate(document), 5)
        ratios.append(quickest(lambda: check(document), 5) / model)
    assert min(ratios) <= 0.30


def test_linear() -> None:
    """Ten times the entries take about ten times as long."""
    small, large = collection(500), collection(5000)
    assert check(large) == []
    assert quickest(lambda: check(large), 3) < 16 * quickest(lambda: check(small), 3)


def test_loading() -> None:
    """The table is read in less than 60 ms, and common units do not import the UCUM parser."""
    assert quickest(table.__wrapped__, 3) < 0.06
    assert isinstance(table(), Table)
