"""The wheel: everything that a user needs is in it, and it works without the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.xdist_group("wheel")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as a packager does: from the source archive, so that nothing of an earlier build is in it."""
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content, to import from."""
    out = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(out)
    return out


def run(unpacked: Path, cwd: Path, *arguments: str) -> bytes:
    """The command line of the wheel, in an empty folder."""
    command = [sys.executable, "-P", "-m", "adapter", *arguments]
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | {"PYTHONPATH": str(unpacked)}, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr.decode()) == (0, "")
    return done.stdout


def test_wheel_is_not_the_checkout(unpacked: Path, tmp_path: Path) -> None:
    """What these tests run comes out of the wheel."""
    code = "import adapter.cli, mappings; print(adapter.__file__, mappings.__file__)"
    env = os.environ | {"PYTHONPATH": str(unpacked)}
    told = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, env=env, capture_output=True, check=True)
    assert told.stdout.decode().split() == [str(unpacked / name / "__init__.py") for name in ("adapter", "mappings")]


def test_demo_from_an_empty_folder(unpacked: Path, tmp_path: Path) -> None:
    """``fhir-adapter demo`` needs nothing but the wheel."""
    assert run(unpacked, tmp_path, "demo").decode().splitlines()[-1] == "identical"
    assert list(tmp_path.iterdir()) == []


def test_every_module_and_table_is_in_it(wheel: Path) -> None:
    """Each tracked file of the two packages, and the example cases once; no test and no generated leftover."""
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    listed = subprocess.run(["git", "ls-files", "adapter", "mappings"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("this is no git checkout, so what belongs to the packages is not known")
    cases = {f"adapter/examples/{name}/case.json" for name in ("minimal", "published-case", "synthetic-course")}
    assert found == set(listed.stdout.decode().split()) | cases


def test_each_package_is_declared() -> None:
    """`setup.cfg` names the packages one by one, since ``examples`` is one of them; none is forgotten."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    declared = set(config["options"]["packages"].split())
    there = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for top in ("adapter", "mappings")
        for path in (ROOT / top).rglob("*.py")
    }
    assert declared == there | {"adapter.examples"}
