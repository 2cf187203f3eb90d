"""What a reference in a document means: the entries by fullUrl, by type and id, by identifier; contained resources.

Nothing is fetched and nothing is guessed: what fits several entries is ambiguous, what fits none leads out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

from mappings.codec import Unread
from mappings.report import Json
from mappings.resource import Node, members

RESTFUL = re.compile(r"(https?://.+/)([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


class Index:
    """The resources of a document that are to be read, by every name that a reference may use."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._by_url: dict[str, list[Node]] = {}
        self._by_local: dict[str, list[Node]] = {}
        self._by_identifier: dict[tuple[str, str], list[Node]] = {}
        self._contained: dict[tuple[int, str], list[Node]] = {}
        for node in nodes:
            if node.refused is None:
                self._enter(node)
        #: what an absolute reference means that is an entry's fullUrl, letter by letter: the most frequent form
        self._sure = {url: found[0] for url, found in self._by_url.items() if len(found) == 1 and _is_sure(url)}

    def _enter(self, node: Node) -> None:
        id_ = node.resource.get("id")
        if node.container is not None:
            self._contained.setdefault((id(node.container), f"#{id_}"), []).append(node)
            return
        if node.full_url is not None:
            self._by_url.setdefault(node.full_url, []).append(node)
        if isinstance(id_, str):
            self._by_local.setdefault(f"{node.type}/{id_}", []).append(node)
        for one in members(node.resource, "identifier"):
            pair = (one.get("system"), one.get("value"))
            if isinstance(pair[0], str) and isinstance(pair[1], str):
                self._by_identifier.setdefault(pair, []).append(node)  # type: ignore[arg-type]

    def add(self, node: Node) -> None:
        """Add a resource that the document only implies."""
        url = str(node.full_url)
        self._by_url[url] = [node]
        if _is_sure(url):
            self._sure[url] = node

    def drop(self, node: Node) -> None:
        """Take away what was added."""
        self._by_url.pop(str(node.full_url), None)
        self._sure.pop(str(node.full_url), None)

    def resolve(self, json: Json, node: Node) -> Node | None:
        """The resource that a Reference of a node means; None if it leads out of the document."""
        ref = json.get("reference") if isinstance(json, dict) else None
        if not isinstance(ref, str):
            return self._by_its_identifier(json)
        if ref in self._sure:
            return self._sure[ref]
        owner = node.container or node
        if ref.startswith("#"):
            return owner if ref == "#" else _only(self._contained.get((id(owner), ref)), "", node)
        if "?" in ref:
            return self._conditional(ref, node)
        nodes = self._by_url.get(absolute(ref, owner)) or self._by_url.get(base(ref))
        if nodes is None and not _ABSOLUTE.match(ref):
            nodes = self._lenient(ref, owner)
            if nodes and any(one.full_url for one in nodes):
                node.notes.append(("lenient-reference", ""))
        return _only(nodes, ref, node)

    def _lenient(self, ref: str, owner: Node) -> list[Node] | None:
        """A relative reference that no fullUrl answers, by type and id; never on another server than the owner's."""
        found = self._by_local.get(base(ref))
        if found and RESTFUL.fullmatch(owner.full_url or ""):
            return [one for one in found if not RESTFUL.fullmatch(one.full_url or "")]
        return found

    def _by_its_identifier(self, json: Json) -> Node | None:
        """A reference that has only an identifier, and maybe a type."""
        found = json.get("identifier") if isinstance(json, dict) else None
        if not isinstance(found, dict):
            return None
        pair: tuple[Any, Any] = (found.get("system"), found.get("value"))
        nodes = self._by_identifier.get(pair, []) if all(isinstance(part, str) for part in pair) else []
        return _only([one for one in nodes if json.get("type") in (None, one.type)], "", None)

    def _conditional(self, ref: str, node: Node) -> Node | None:
        """A conditional reference, such as ``Patient?identifier=system|value``."""
        match = re.fullmatch(r"([A-Za-z]+)\?identifier=([^|&]*)\|([^&]*)", unquote(ref))
        found = self._by_identifier.get((match[2], match[3]), []) if match else []
        return _only([one for one in found if match and one.type == match[1]], "", node)


def _is_sure(url: str) -> bool:
    """Whether a reference that is this URL can mean nothing else."""
    return _ABSOLUTE.match(url) is not None and "?" not in url and "/_history/" not in url


def base(ref: str) -> str:
    """A reference without its version."""
    return ref.partition("/_history/")[0]


def absolute(ref: str, owner: Node) -> str:
    """A reference as an absolute one, where the owner's fullUrl tells its server; without its version."""
    root = None if _ABSOLUTE.match(ref) else RESTFUL.fullmatch(owner.full_url or "")
    return base(ref) if root is None else root[1] + base(ref)


def _only(found: list[Node] | None, ref: str, node: Node | None) -> Node | None:
    """The one node; several are never guessed between, and a version that is not there is not found.

    But a patient is the same person in every version.
    """
    version = ref.partition("/_history/")[2]
    if found and version:
        same = [one for one in found if _version(one) in (version, None)]
        if not same and node is not None and all(one.type == "Patient" for one in found):
            node.notes.append(("version-mismatch", ""))
        else:
            found = same
    if not found:
        return None
    if len(found) > 1:
        raise Unread("ambiguous-reference", "The reference fits several entries.", "one entry")
    return found[0]


def _version(node: Node) -> Any:
    meta = node.resource.get("meta")
    return meta.get("versionId") if isinstance(meta, dict) else None
