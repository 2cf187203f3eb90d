"""What the HL7 validator's own code says of everything the adapter writes and publishes.

With pytest-xdist these tests need ``--dist loadgroup``: then one worker runs them all, with one judge.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from adapter.artifacts.__main__ import main as artifacts
from adapter.service.capability import capability_statement
from mappings import encode, load_case, to_fhir
from mappings.terms import BASE, TERMS, Term
from tests.judge.accepted import OF_BUNDLES, OF_DEFINITIONS, OF_GENERATED, rest
from tests.judge.conftest import FHIR
from tests.judge.judge import Judge
from tests.judge.mutants import Mutant, mutants
from tests.judge.plain import plain_case

pytestmark = pytest.mark.xdist_group("judge")
Json = Any
NOW = "2026-01-01T00:00:00Z"
HEAD = {
    "schema_version": "1.0",
    "case_system": "https://a.example/sid",
    "case_id": "1",
    "language": "en",
    "patient": {},
}
EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*/case.json"))
KINDS = (("collection", "put"), ("document", "put"), ("transaction", "put"), ("transaction", "conditional-update"))
PUBLISHED = sorted(FHIR.rglob("*.json"))
PROFILES = sorted(FHIR.glob("StructureDefinition-*.json"))
GENERATED = range(100)


def _bundle(example: Path, bundle_type: str, mode: str, **options: Any) -> Json:
    case = load_case(example.read_bytes())
    return to_fhir(case, bundle_type=bundle_type, mode=mode, now=NOW, **options)


# --- what the adapter writes --------------------------------------------------------------------


@pytest.mark.parametrize(("bundle_type", "mode"), KINDS, ids=[f"{kind}-{mode}" for kind, mode in KINDS])
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.parent.name)
def test_examples(judge: Judge, example: Path, bundle_type: str, mode: str) -> None:
    """The Bundle of every example, in every type and mode, gets no error and no warning that is not accepted."""
    bundle = _bundle(example, bundle_type, mode)
    assert rest(judge.check(encode(bundle)), bundle, OF_BUNDLES) == []


@pytest.mark.parametrize("seed", GENERATED)
def test_generated_cases(judge: Judge, seed: int) -> None:
    """Nor do the Bundles of generated cases, each in one of the types and modes."""
    bundle_type, mode = KINDS[seed % len(KINDS)]
    bundle = to_fhir(plain_case(seed), bundle_type=bundle_type, mode=mode, now=NOW)
    assert rest(judge.check(encode(bundle)), bundle, (*OF_BUNDLES, *OF_GENERATED)) == []


@pytest.mark.usefixtures("judge")  # skipped where that one is
def test_licensed_codes(tmp_path: Path) -> None:
    """The codes that need a licence, written on request, are known by the fragment that is made on request."""
    shutil.copytree(FHIR / "fragments", tmp_path / "fragments")
    artifacts(["--licensed", str(tmp_path / "fragments")])
    terms = [term for term in TERMS if term.licensed]
    case = load_case(HEAD | {"findings": [_finding(term) for term in terms]})
    bundle = to_fhir(case, now=NOW, optional_codes=True)
    assert encode(bundle).count(b"http://snomed.info/sct") >= len(terms)
    with Judge(FHIR, tmp_path / "fragments", timeout=600) as judge:
        assert rest(judge.check(encode(bundle)), bundle, OF_BUNDLES) == []


def _finding(term: Term) -> Json:
    codings = [{"system": c.system, "code": c.code, "display": c.display} for c in term.codings]
    code = {"text": term.display, "codings": codings}
    return {"key": term.name, "code": code, "presence": "present", "when": {"at": "2020-01-01"}}


# --- what the project publishes -------------------------------------------------------------------


@pytest.mark.parametrize("file", PUBLISHED, ids=lambda path: path.stem)
def test_published_resources(judge: Judge, file: Path) -> None:
    """Every conformance resource is itself valid."""
    assert rest(judge.check(file.read_bytes()), json.loads(file.read_bytes()), OF_DEFINITIONS) == []


def test_what_a_running_endpoint_says_of_itself(judge: Judge) -> None:
    """The CapabilityStatement of GET /fhir/metadata is valid too."""
    statement = capability_statement()
    assert rest(judge.check(encode(statement)), statement, OF_DEFINITIONS) == []


# --- the profiles bite ----------------------------------------------------------------------------


@cache
def _claims() -> dict[str, list[Json]]:
    """Resources that claim each profile or hold each extension, from the examples and from generated cases."""
    found: dict[str, list[Json]] = {}
    bundles = [_bundle(example, "document", "put") for example in EXAMPLES]
    bundles += [to_fhir(plain_case(seed), now=NOW) for seed in GENERATED]
    for bundle in bundles:
        for resource in (entry["resource"] for entry in bundle["entry"]):
            for url in {*resource["meta"]["profile"], *_extension_urls(resource)}:
                found.setdefault(url, []).append(json.loads(encode(resource)))
    return found


def _extension_urls(node: Json) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (extension["url"] for extension in node.get("extension", ()))
        node = list(node.values())
    for value in node if isinstance(node, list) else ():
        yield from _extension_urls(value)


def _mutants(profile: Json) -> list[Mutant]:
    """One mutant for each constraint that some resource can break."""
    found: dict[tuple[str, str], Mutant] = {}
    for resource in _claims()[profile["url"]]:
        for mutant in mutants(profile, resource):
            found.setdefault((mutant.element, mutant.kind), mutant)
    return list(found.values())


@pytest.mark.parametrize("file", PROFILES, ids=lambda path: path.stem.partition("-")[2])
def test_profile_bites(judge: Judge, file: Path) -> None:
    """Each constraint of each profile, broken in one place, is an error that there is not without the profile."""
    profile = json.loads(file.read_bytes())
    broken = _mutants(profile)
    assert broken, "no resource has anything that this profile constrains"
    unseen = []
    for mutant in broken:
        errors = _errors(judge, mutant.resource)
        if not any(BASE in error for error in errors) and errors <= _errors(judge, _unclaimed(mutant.resource)):
            unseen.append((mutant.element, mutant.kind, errors))
    assert unseen == []


def _errors(judge: Judge, resource: Json) -> set[str]:
    return {str(message) for message in judge.check(json.dumps(resource)) if message.severity == "error"}


def _unclaimed(resource: Json) -> Json:
    """The resource without its profile: not every message names the profile."""
    return {name: value for name, value in resource.items() if name != "meta"}
