"""API keys at rest: a file of lines ``NAME SHA256``, two of a name at most, so that a key can be rotated.

A key is 256 random bits, which nobody can guess; a slow hash protects what people choose, and would only
slow every request here. The file is read again when it changes. If it cannot be read then, the keys that
were read last go on being valid, and the log says so.
"""

from __future__ import annotations

import hmac
import logging
import os
import re
import secrets
import stat
from collections import Counter
from hashlib import sha256
from pathlib import Path

from mappings import Issue, MappingError

PREFIX = "fak_"
_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63}) ([0-9a-f]{64})")
_KEY = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")
_log = logging.getLogger(__name__)

Entries = tuple[tuple[str, str], ...]


def new_key(name: str) -> tuple[str, str]:
    """A key, and its line for the file; raises `MappingError` (bad-option) for a name that no line can have."""
    key = PREFIX + secrets.token_urlsafe(32)
    line = f"{name} {_digest(key)}"
    if not _LINE.fullmatch(line):
        raise MappingError(Issue("bad-option", path="--name", expected="letters, digits, . _ -; 64 at most"))
    return key, line


def looks_like_key(credential: str) -> bool:
    """Whether a bearer credential is a key of ours, and no token."""
    return _KEY.fullmatch(credential) is not None


def read_keys(path: str) -> Entries:
    """The (name, digest) pairs of a key file; raises `MappingError` with everything that is wrong with it."""
    issues: list[Issue] = []
    try:
        mode, text = Path(path).stat().st_mode, Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MappingError(Issue("not-readable", f"{type(error).__name__}.", path="keys_file")) from None
    if mode & (stat.S_IRWXO | stat.S_IWGRP | stat.S_IXGRP):
        issues.append(_wrong("The key file is open to others.", "at most 0640", "chmod 640 FILE, or 600"))
    found: list[tuple[str, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if match := _LINE.fullmatch(line.strip()):
            found.append((match[1], match[2]))
        else:
            issues.append(_wrong(f"Line {number} is no key.", "NAME SHA256", "Write the line of keys new."))
    if not found:
        issues.append(_wrong("The key file holds no key.", "a line at least", "fhir-adapter keys new --name NAME"))
    for name, count in Counter(name for name, _ in found).items():
        if count > 2:
            issues.append(_wrong(f"{name} has {count} keys.", "two at most", "Remove those no longer in use."))
    if issues:
        raise MappingError(issues)
    return tuple(found)


class Keys:
    """The keys of a file that may change."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._state = self._stat()
        self._entries = read_keys(path)

    def caller(self, key: str) -> str | None:
        """The name of whose key this is; every line is compared, in a time that does not depend on the key."""
        self._again()
        digest = _digest(key)
        found = [name for name, known in self._entries if hmac.compare_digest(known, digest)]
        return found[0] if found else None

    def _again(self) -> None:
        state = self._stat()
        if state == self._state:
            return
        self._state = state
        try:
            self._entries = read_keys(self._path)
        except MappingError as error:
            _log.error("the key file changed and cannot be used; the former keys stay valid: %s", error.issues[0].text)

    def _stat(self) -> tuple[int, ...]:
        try:
            found = os.stat(self._path)
        except OSError:
            return ()
        return found.st_mtime_ns, found.st_size, found.st_ino, found.st_ctime_ns


def _digest(key: str) -> str:
    return sha256(key.encode()).hexdigest()


def _wrong(what: str, expected: str, remedy: str) -> Issue:
    return Issue("bad-option", what, path="keys_file", expected=expected, remedy=remedy)
