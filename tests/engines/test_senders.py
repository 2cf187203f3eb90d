"""The curl and Python recipes, run as they are."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mappings import from_fhir, load_case
from tests.engines.conftest import KEY
from tests.engines.stage import MINIMAL, PUBLISHED, ROOT, Proxy

ENGINES = ROOT / "examples" / "engines"
SENDERS = {
    "curl": ["sh", str(ENGINES / "curl" / "send.sh")],
    "python": [sys.executable, str(ENGINES / "python" / "send.py")],
}
REFUSED = {"curl": 22, "python": 1}
needs = pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on this machine")
each = pytest.mark.parametrize("name", [pytest.param("curl", marks=needs), "python"])


def send(name: str, case: Path, bundle: Path, adapter: str) -> int:
    """The exit status of a sender."""
    header = case.parent / "header"
    header.write_text(f"Authorization: Bearer {KEY}")
    env = os.environ | {"ADAPTER": adapter, "ADAPTER_KEY": str(header) if name == "curl" else KEY}
    done = subprocess.run(
        [*SENDERS[name], str(case), str(bundle)], env=env, timeout=120, capture_output=True, check=False
    )
    return done.returncode


@each
def test_sender(name: str, tmp_path: Path, behind: int) -> None:
    """503 and 429 are tried again, the Bundle is the case's; a refusal is not repeated and leaves its outcome."""
    case, bundle = tmp_path / "case.json", tmp_path / "bundle.json"
    case.write_bytes(PUBLISHED)
    with Proxy(behind, [(503, "1"), (429, "1")]) as proxy:
        assert send(name, case, bundle, proxy.url) == 0
        assert proxy.statuses == [503, 429, 200]
        assert from_fhir(bundle.read_bytes())[0] == load_case(PUBLISHED)
        case.write_bytes(MINIMAL.replace(b'"case_id"', b'"case_idd"'))
        assert send(name, case, tmp_path / "none.json", proxy.url) == REFUSED[name]
        assert proxy.statuses[3:] == [422]
    assert b"OperationOutcome" in (tmp_path / "none.json.outcome.json").read_bytes()
    assert not (tmp_path / "none.json").exists()
    assert list(tmp_path.glob("*.part")) == []
