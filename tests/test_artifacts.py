"""The published conformance resources: derived from the tables, current, and what the Bundles claim."""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from adapter.artifacts.__main__ import TARGET, differences, main
from adapter.artifacts.elements import root
from adapter.artifacts.found import Found
from adapter.artifacts.package import files
from adapter.artifacts.tables import Walk
from adapter.artifacts.terminology import copyright_of, licensed_fragments
from mappings import encode, load_case, to_fhir
from mappings.case import TABLES
from mappings.rows import Row
from mappings.terms import BASE, CODES, SYSTEMS
from tests.strategies import seeded

Json = Any
EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*/case.json"))
PUBLISHED = {path.relative_to(TARGET).as_posix(): json.loads(path.read_bytes()) for path in TARGET.rglob("*.json")}


def test_current() -> None:
    """What is published is what the tables say now."""
    assert main(["--check"]) == 0


def test_check_sees_every_difference(tmp_path: Path) -> None:
    """A file that is missing, too many, or changed by one byte is not current."""
    wanted = {"a.json": b"1", "b.json": b"2", "package.tgz": gzip.compress(b"3", 9)}
    for name, raw in {"a.json": b"0", "c.json": b"2", "package.tgz": gzip.compress(b"3", 1)}.items():
        (tmp_path / name).write_bytes(raw)
    assert differences(tmp_path, wanted) == ["a.json", "b.json", "c.json"]


def test_deterministic() -> None:
    """The same tables give the same bytes."""
    assert files() == files()


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_models_accept(name: str) -> None:
    """The fhir.resources models read each resource."""
    resource = PUBLISHED[name]
    get_fhir_model_class(resource["resourceType"]).model_validate_json(json.dumps(resource))


# --- claims and definitions -------------------------------------------------------------------


def _named(node: Json) -> Iterator[str]:
    """Every profile that is claimed and every extension that is used below a node."""
    if isinstance(node, dict):
        yield from node.get("meta", {}).get("profile", ())
        yield from (one["url"] for one in node.get("extension", ()) if one["url"].startswith(BASE))
        node = list(node.values())
    for value in node if isinstance(node, list) else ():
        yield from _named(value)


def _claimed(cases: Any) -> set[str]:
    return {url for case in cases for url in _named(to_fhir(case, bundle_type="document", now="2026-01-01T00:00:00Z"))}


def test_claims_are_published() -> None:
    """Every profile and extension of the project's own in an example is published, and every published one is used."""
    published = {one["url"] for one in PUBLISHED.values() if one["resourceType"] == "StructureDefinition"}
    examples = _claimed(load_case(path.read_bytes()) for path in EXAMPLES)
    assert examples <= published
    assert published == examples | _claimed(seeded(seed) for seed in range(20))


def test_references_between_the_resources() -> None:
    """Whatever of the project's own a published resource names is published: extensions, value sets, operations."""
    known = {one["url"] for one in PUBLISHED.values()}
    kinds = "|".join(("StructureDefinition", "ValueSet", "CodeSystem", "OperationDefinition"))
    named = set(re.findall(rf"{re.escape(BASE)}/(?:{kinds})/[\w-]+", json.dumps(list(PUBLISHED.values()))))
    assert named <= known


def test_every_bound_value_set_is_published_and_no_other() -> None:
    """Each value set is bound by a profile or an extension."""
    bound = {
        element["binding"]["valueSet"]
        for one in PUBLISHED.values()
        if one["resourceType"] == "StructureDefinition"
        for element in one["differential"]["element"]
        if "binding" in element
    }
    assert bound == {one["url"] for one in PUBLISHED.values() if one["resourceType"] == "ValueSet"}


def test_constraints_follow_the_table() -> None:
    """A new row is a new constraint; a row that does not tell what it writes is refused."""

    class Silent(Row):
        def write(self, item: Any, out: dict[str, Json], to: Any) -> None:
            out["status"] = "final"

    table = next(table for table in TABLES if table.name == "smx-disease-status")
    tree = Walk(Found(), table).profile()
    assert tree.children["code"].says["patternCodeableConcept"]["coding"][0]["code"] == "disease-status"
    assert (tree.children["focus"].min, tree.children["focus"].targets) == (1, {"Condition"})
    with pytest.raises(TypeError, match="Silent does not tell what it writes"):
        Walk(Found(), table).rows((Silent(),), root("Observation"), table.cls)


# --- licences -----------------------------------------------------------------------------------


def test_licensed_codes_are_not_published(tmp_path: Path) -> None:
    """A code that needs a licence stands in no published file, and in the fragments that are written on request."""
    licensed = {code.code for code in CODES if code.kind == "licensed"}
    free = {code.code for code in CODES if code.kind != "licensed"}
    everything = json.dumps(PUBLISHED)
    assert not [code for code in licensed - free if f'"{code}"' in everything]
    assert main(["--licensed", str(tmp_path)]) == 0
    (written,) = tmp_path.iterdir()
    assert written.name == "CodeSystem-fragment-snomed.json"
    assert licensed <= {concept["code"] for concept in json.loads(written.read_bytes())["concept"]}
    assert "Affiliate" in licensed_fragments()[0]["copyright"]


def test_notices() -> None:
    """A resource with codes of another's terminology carries its owner's notice, and each such terminology has one."""
    for one in PUBLISHED.values():
        systems = {part["system"] for part in one.get("compose", {}).get("include", ())} | {one["url"]}
        systems |= {part[end] for part in one.get("group", ()) for end in ("source", "target")}
        for key, system in SYSTEMS.items():
            if system.uri in systems and (notice := copyright_of(key)):
                assert notice in one["copyright"]
    assert "Regenstrief" in PUBLISHED["ValueSet-smx-presence.json"]["copyright"]


# --- the package ----------------------------------------------------------------------------------


def test_package() -> None:
    """The package holds the published resources, its manifest and its index, without times."""
    raw = (TARGET / "package.tgz").read_bytes()
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(raw))) as archive:
        held = {info.name: archive.extractfile(info) for info in archive}
        assert {info.mtime for info in archive} == {0}
        contents = {name: stream.read() for name, stream in held.items() if stream is not None}
    resources = {name for name in PUBLISHED if "/" not in name}
    assert contents.keys() == {f"package/{name}" for name in resources | {"package.json", ".index.json"}}
    assert all(json.loads(contents[f"package/{name}"]) == PUBLISHED[name] for name in resources)
    index = json.loads(contents["package/.index.json"])
    assert {one["filename"]: one["url"] for one in index["files"]} == {n: PUBLISHED[n]["url"] for n in resources}
    manifest = json.loads(contents["package/package.json"])
    assert manifest["fhirVersions"] == ["4.0.1"]
    assert manifest["canonical"] == BASE
    assert encode(manifest, pretty=True) == contents["package/package.json"]
