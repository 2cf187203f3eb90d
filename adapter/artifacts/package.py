"""Everything that is published: the files, and the FHIR package of them."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import PurePosixPath

from adapter.artifacts import operations, structures, terminology
from adapter.artifacts.frame import PUBLISHER
from adapter.artifacts.tables import profiles
from adapter.service.capability import FHIR_VERSION
from mappings import encode
from mappings.generated import VERSION
from mappings.report import Json
from mappings.terms import BASE

NAME = "scleromyx.fhir.r4"
INDEXED = ("resourceType", "id", "url", "version", "kind", "type")
Files = dict[str, bytes]


def resources() -> list[dict[str, Json]]:
    """What the package holds."""
    trees, found = profiles()
    return [
        *structures.profiles(trees),
        *structures.generated(),
        *structures.extensions(found),
        *terminology.own_systems(),
        *terminology.value_sets(found),
        *terminology.concept_maps(),
        *operations.definitions(),
        operations.capability(),
    ]


def named(listed: list[dict[str, Json]]) -> Files:
    """The resources as files, by name."""
    files = {f"{one['resourceType']}-{one['id']}.json": encode(one, pretty=True) for one in listed}
    if len(files) != len(listed):
        raise ValueError("two resources have one name")
    return dict(sorted(files.items()))


def files() -> Files:
    """Every published file, by its path below ``mappings/fhir``."""
    listed = resources()
    inside = named(listed)
    beside = {f"fragments/{name}": raw for name, raw in named(terminology.fragments()).items()}
    return {**inside, **beside, "package.tgz": package(listed, inside)}


def package(listed: list[dict[str, Json]], inside: Files) -> bytes:
    """The FHIR package (an npm package by its layout), the same bytes for the same resources."""
    manifest = {
        "name": NAME,
        "version": VERSION,
        "type": "Conformance",
        "canonical": BASE,
        "title": "Scleromyxedema treated with IVIg, in FHIR R4",
        "description": "Profiles, extensions and terms of the two-way mapping of a scleromyxedema case.",
        "fhirVersions": [FHIR_VERSION],
        "dependencies": {"hl7.fhir.r4.core": FHIR_VERSION},
        "author": PUBLISHER,
        "license": "Apache-2.0",
    }
    by_name = {f"{one['resourceType']}-{one['id']}.json": one for one in listed}
    index = {
        "index-version": 1,
        "files": [
            {"filename": name} | {member: by_name[name][member] for member in INDEXED if member in by_name[name]}
            for name in inside
        ],
    }
    about = {"package.json": encode(manifest, pretty=True), ".index.json": encode(index, pretty=True)}
    return _packed({f"package/{name}": raw for name, raw in {**about, **inside}.items()})


def _packed(members: Files) -> bytes:
    """A gzipped tar archive without times, owners and the like."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(str(PurePosixPath(name)))
            info.size, info.mode = len(content), 0o644
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(raw.getvalue(), mtime=0)
