"""An SPDX 2.3 bill of materials of an installed distribution and all that it needs here: ``sbom.py NAME[EXTRA,...]``.

It runs in an environment that holds the distribution; what the environment has besides is left out. Names, versions
and licences are what the distributions say of themselves; a licence not said in SPDX's words is NOASSERTION.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from importlib.metadata import Distribution, distribution
from urllib.parse import quote

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def needed(root: Requirement) -> dict[str, tuple[Distribution, set[str]]]:
    """Each distribution by its name, with the names of those that it needs."""
    found: dict[str, tuple[Distribution, set[str]]] = {}
    waiting, seen = [root], set()
    while waiting:
        asked = waiting.pop()
        name, extras = canonicalize_name(asked.name), frozenset(asked.extras) or frozenset({""})
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        here, needs = found.setdefault(name, (distribution(asked.name), set()))
        for text in here.requires or ():
            requirement = Requirement(text)
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
                needs.add(canonicalize_name(requirement.name))
                waiting.append(requirement)
    return found


#: Classifiers that mean one SPDX licence; "BSD License" is several.
CLASSIFIERS = {"MIT License": "MIT", "Apache Software License": "Apache-2.0"}


def licence(of: Distribution) -> str:
    """The SPDX expression of a distribution."""
    if said := of.metadata.get("License-Expression"):
        return said
    classified = (one.rpartition(" :: ")[2] for one in of.metadata.get_all("Classifier", ()) if "License" in one)
    return next((CLASSIFIERS[one] for one in classified if one in CLASSIFIERS), "NOASSERTION")


def spdx(name: str) -> str:
    """The SPDX id of a package."""
    return f"SPDXRef-{name}"


def document(root: Requirement) -> dict[str, object]:
    """The whole bill."""
    found = dict(sorted(needed(root).items()))
    first = canonicalize_name(root.name)
    version = found[first][0].version
    packages = [
        {
            "SPDXID": spdx(name),
            "name": of.metadata["Name"],
            "versionInfo": of.version,
            "downloadLocation": "NOASSERTION",
            "filesAnalyzed": False,
            "licenseConcluded": "NOASSERTION",
            "licenseDeclared": licence(of),
            "copyrightText": "NOASSERTION",
            "externalRefs": [
                {
                    "referenceCategory": "PACKAGE-MANAGER",
                    "referenceType": "purl",
                    "referenceLocator": f"pkg:pypi/{quote(name)}@{quote(of.version)}",
                }
            ],
        }
        for name, (of, _) in found.items()
    ]
    related = [
        {"spdxElementId": spdx(name), "relationshipType": "DEPENDS_ON", "relatedSpdxElement": spdx(one)}
        for name, (_, needs) in found.items()
        for one in sorted(needs)
    ]
    described = {
        "spdxElementId": "SPDXRef-DOCUMENT",
        "relationshipType": "DESCRIBES",
        "relatedSpdxElement": spdx(first),
    }
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"{root.name}-{version}",
        "documentNamespace": f"https://scleromyx.invalid/spdx/{root.name}-{version}",
        "creationInfo": {
            "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": ["Tool: scleromyxedema-fhir-adapter .ci/sbom.py"],
        },
        "packages": packages,
        "relationships": [described, *related],
    }


if __name__ == "__main__":
    print(json.dumps(document(Requirement(sys.argv[1])), indent=2))
