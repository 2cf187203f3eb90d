"""One endpoint for all recipes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapter.keys import new_key
from tests import maven
from tests.serving import serving

KEY, _LINE = new_key("engine")


@pytest.fixture(scope="package")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of the real endpoint, which wants `KEY`."""
    folder = tmp_path_factory.mktemp("endpoint")
    keys = folder / "keys"
    keys.write_text(f"{_LINE}\n")
    keys.chmod(0o600)
    with serving(folder, keys_file=keys) as served:
        yield served.port


def built(folder: Path) -> Path:
    """The built program of a folder; without Java a skip, in CI an error."""
    reason = maven.missing(folder)
    if reason is not None and os.environ.get("CI") != "true":
        pytest.skip(f"the program cannot be built: {reason}")
    return maven.build(folder)
