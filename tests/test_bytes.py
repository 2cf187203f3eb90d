"""The same case gives the same bytes, everywhere; the golden pairs hold in both directions."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest
from fhir.resources.R4B.bundle import Bundle

from mappings import decode, dump_case, encode, from_fhir, load_case, to_fhir
from tests.goldens import NAMES, case_bytes, golden, made

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", NAMES)
def test_golden_bundle(name: str) -> None:
    """The case becomes exactly the Bundle beside it; `make goldens` renews it, to be read before it is committed."""
    assert made(name) == golden(name).read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_golden_case(name: str) -> None:
    """The Bundle is read as exactly the case beside it, to the last digit."""
    case, _ = from_fhir(golden(name).read_bytes())
    assert encode(dump_case(case)) == encode(decode(case_bytes(name)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bundle_type", ["collection", "document", "transaction"])
def test_models_accept_every_example(name: str, bundle_type: str) -> None:
    """fhir.resources (R4B models) accepts every Bundle of every example."""
    case = load_case(case_bytes(name))
    Bundle.model_validate_json(encode(to_fhir(case, bundle_type=bundle_type, now="2026-01-01T00:00:00Z")))


_HASH = (
    "import sys; from hashlib import sha256; from mappings import *; from tests.goldens import *;"
    "print(sha256(b''.join(made(name) for name in NAMES)).hexdigest())"
)


@pytest.mark.parametrize(
    "setting",
    [{"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "4242"}, {"LC_ALL": "C"}, {"TZ": "Pacific/Chatham"}],
    ids=str,
)
def test_every_process_writes_the_same_bytes(setting: dict[str, str]) -> None:
    """Hash seed, locale and time zone change nothing."""
    done = subprocess.run(
        [sys.executable, "-c", _HASH], cwd=ROOT, env=os.environ | setting, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == sha256(b"".join(golden(name).read_bytes() for name in NAMES)).hexdigest()


def test_threads_write_the_same_bytes() -> None:
    """64 threads at once write what one writes: nothing is shared between conversions."""
    case = load_case(case_bytes("synthetic-course"))
    bundle = to_fhir(case)

    def one(_: int) -> tuple[bytes, bytes]:
        return encode(to_fhir(case)), encode(dump_case(from_fhir(bundle)[0]))

    with ThreadPoolExecutor(64) as pool:
        assert set(pool.map(one, range(64))) == {(encode(bundle), encode(dump_case(case)))}
