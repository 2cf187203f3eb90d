"""One endpoint for all recipes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import maven
from tests.engines.stage import endpoint


@pytest.fixture(scope="package")
def behind() -> Iterator[int]:
    """The port of the real endpoint."""
    with endpoint() as port:
        yield port


def built(folder: Path) -> Path:
    """The built program of a folder; without Java a skip, in CI an error."""
    reason = maven.missing(folder)
    if reason is not None and os.environ.get("CI") != "true":
        pytest.skip(f"the program cannot be built: {reason}")
    return maven.build(folder)
