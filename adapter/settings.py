"""What can be set about the endpoint: a dataclass, read from a TOML file and the environment, checked as a whole.

``FHIR_ADAPTER_MAX_BODY=1048576`` in the environment is ``max_body = 1048576`` in the file; the environment wins.
Everything that is wrong is told at once, a name that does not exist included. No setting is a secret: keys stand,
hashed, in a file of their own.
"""

from __future__ import annotations

import ipaddress
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, get_type_hints
from urllib.parse import SplitResult, urlsplit

from adapter.files import read_bytes
from adapter.keys import read_keys
from mappings import Issue, MappingError

PREFIX = "FHIR_ADAPTER_"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
#: A shared secret cannot come from a public key set, and ``none`` signs nothing.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_HOST = re.compile(r"[A-Za-z0-9._:-]+")
_BOOLEANS = {"true": True, "false": False}


def _set(default: Any, about: str, least: float | None = None) -> Any:
    return field(default=default, metadata={"about": about, "least": least})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one endpoint; sizes in bytes, times in seconds."""

    host: str = _set("127.0.0.1", "address to listen on")
    port: int = _set(8080, "port to listen on; 0 takes a free one", 0)
    hosts: tuple[str, ...] = _set(LOOPBACK, "names that `Host` may have, without port; `host` itself always may")
    insecure: bool = _set(False, "serve an address that others reach without asking for credentials")
    keys_file: str = _set("", "file of hashed API keys, made by `fhir-adapter keys new`")
    jwt_issuer: str = _set("", "`iss` of bearer tokens")
    jwt_audience: str = _set("", "`aud` of bearer tokens: this service")
    jwt_jwks: str = _set("", "URL of the issuer's key set")
    jwt_algorithms: tuple[str, ...] = _set(("RS256", "PS256", "ES256"), "signatures that a token may have")
    jwt_scope: str = _set("", "scope that a token must carry; without it the answer is 403")
    jwt_leeway: float = _set(30.0, "clock skew allowed in `exp`, `nbf`, `iat`", 0)
    jwt_stale: float = _set(86400.0, "that known keys go on being used while the issuer cannot be reached", 0)
    max_body: int = _set(10 * 2**20, "of a body, as sent", 1)
    max_unpacked: int = _set(50 * 2**20, "of a gzip body, unpacked", 1)
    max_depth: int = _set(64, "nesting of a document", 1)
    max_entries: int = _set(5000, "entries of a Bundle", 1)
    seconds: float = _set(25.0, "for one conversion", 0.1)
    queue: int = _set(16, "conversions that run or wait in one worker; more are answered 429", 1)
    workers: int = _set(2, "processes", 1)
    idle: float = _set(20.0, "that a caller may pause in mid-request; three times this for all of it", 1)
    drain: float = _set(60.0, "for accepted requests after SIGTERM", 1)

    @property
    def loopback(self) -> bool:
        """Whether nobody but this machine reaches the address."""
        return self.host in LOOPBACK or _address(self.host, "is_loopback")

    @property
    def credentials(self) -> bool:
        """Whether callers must show who they are."""
        return bool(self.keys_file or self.jwt_jwks)

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """What ``Host`` may name, in lower case, IPv6 without brackets."""
        own = () if _address(self.host, "is_unspecified") else (self.host,)
        return frozenset(name.lower() for name in (*self.hosts, *own))

    def as_toml(self) -> str:
        """All of them as a TOML file that `load` reads."""
        return "".join(f"{f.name} = {_toml(getattr(self, f.name))}\n" for f in fields(self))


def load(environ: Mapping[str, str], path: str | None = None, **flags: Any) -> Settings:
    """The settings of file, environment and command line, the later ones winning; raises `MappingError`."""
    issues: list[Issue] = []
    found = {**_from_file(path, issues), **_from_environment(environ, issues)}
    settings = replace(Settings(), **{**found, **flags})
    issues += _unsafe(settings)
    if issues:
        raise MappingError(issues)
    return settings


def table() -> str:
    """The settings as a Markdown table."""
    rows = [f"| `{f.name}` | `{_toml(f.default)}` | {f.metadata['about']} |" for f in fields(Settings)]
    return "\n".join(["| setting | default | what it is |", "|---|---|---|", *rows])


# --- reading ------------------------------------------------------------------------------------


def _from_file(path: str | None, issues: list[Issue]) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        given = tomllib.loads(read_bytes(path).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        issues.append(_wrong(path, "The settings file cannot be read.", "TOML in UTF-8", "Mend the file."))
        return {}
    return _read(given.items(), issues, "")


def _from_environment(environ: Mapping[str, str], issues: list[Issue]) -> dict[str, Any]:
    given = [(name.removeprefix(PREFIX).lower(), _plain(value)) for name, value in environ.items() if _ours(name)]
    return _read(sorted(given), issues, PREFIX)


def _ours(name: str) -> bool:
    return name.startswith(PREFIX) and name != f"{PREFIX}CONFIG"


def _plain(text: str) -> Any:
    """A text of the environment as TOML would write it, where it is no text there."""
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            pass
    return text


def _read(given: Any, issues: list[Issue], prefix: str) -> dict[str, Any]:
    """The values by name; what does not exist or has another type is an issue."""
    known = {f.name: f for f in fields(Settings)}
    types = get_type_hints(Settings)
    found: dict[str, Any] = {}
    for name, value in given:
        shown = f"{prefix}{name.upper()}" if prefix else name
        if name not in known:
            remedy = "Remove it, or mend its name." + (" (Kubernetes: enableServiceLinks: false)" if prefix else "")
            issues.append(_wrong(shown, "There is no such setting.", ", ".join(known), remedy))
            continue
        try:
            typed = _typed(types[name], value, prefix != "")
        except ValueError as error:
            issues.append(_wrong(shown, "The setting has another type.", str(error)))
            continue
        least = known[name].metadata["least"]
        if least is None or least <= typed < 2**53:
            found[name] = typed
        else:
            issues.append(_wrong(shown, "The setting is out of range.", f"a number from {least:g} on"))
    return found


def _typed(type_: Any, value: Any, from_text: bool) -> Any:
    """The value as the setting's type; raises `ValueError` with what was expected."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if type_ is str:
        if isinstance(value, str) or from_text:
            return str(value)
        raise ValueError("a text")
    if type_ is bool:
        if isinstance(value, bool):
            return value
        raise ValueError("true or false")
    if type_ in (int, float):
        if number and (type_ is float or isinstance(value, int)):
            return type_(value)
        raise ValueError("a whole number" if type_ is int else "a number")
    parts = [part.strip() for part in str(value).split(",")] if from_text else value
    if isinstance(parts, list) and parts and all(isinstance(part, str) and part for part in parts):
        return tuple(parts)
    raise ValueError("texts, with commas between them" if from_text else "a list of texts")


# --- what is unsafe -----------------------------------------------------------------------------


def _unsafe(settings: Settings) -> Iterator[Issue]:
    """Combinations that would serve whom they should not, or promise what they cannot keep."""
    if not settings.loopback and not settings.credentials and not settings.insecure:
        yield _wrong(
            "host",
            "Others would reach the service without credentials.",
            "keys_file or jwt_jwks with it",
            "Make a key (fhir-adapter keys new), listen on 127.0.0.1 behind a proxy, or say --insecure.",
        )
    if settings.insecure and settings.credentials:
        yield _wrong("insecure", "It contradicts the credentials that are set.", "one of the two", "Remove one.")
    for name in settings.hosts:
        if not _HOST.fullmatch(name) or (":" in name and not _address(name, "version")):
            yield _wrong("hosts", "This is no name of a host.", "names or addresses, without scheme, port or *")
    if settings.max_unpacked < settings.max_body:
        yield _wrong("max_unpacked", "It is smaller than max_body.", f"{settings.max_body} or more")
    if settings.drain <= settings.seconds:
        yield _wrong("drain", "A running conversion would be cut off.", f"more than seconds, {settings.seconds:g}")
    if settings.port > 65535:
        yield _wrong("port", "The setting is out of range.", "0 to 65535")
    if settings.keys_file:
        try:
            read_keys(settings.keys_file)
        except MappingError as error:
            yield from error.issues
    yield from _unsafe_tokens(settings)


def _unsafe_tokens(settings: Settings) -> Iterator[Issue]:
    together = ("jwt_issuer", "jwt_audience", "jwt_jwks")
    given = [name for name in together if getattr(settings, name)]
    if not given and not settings.jwt_scope:
        return
    for name in together:
        if name not in given:
            yield _wrong(name, "Tokens of anybody, or for anybody, would be taken.", f"{', '.join(together)} together")
    for name in settings.jwt_algorithms:
        if name.startswith("HS"):
            yield _wrong("jwt_algorithms", "A public key would be taken for a secret.", ", ".join(ALGORITHMS))
        elif name not in ALGORITHMS:
            yield _wrong("jwt_algorithms", "This is no signature to rely on.", ", ".join(ALGORITHMS))
    if not settings.jwt_jwks:
        return
    url = url_parts(settings.jwt_jwks)
    local = url.hostname is not None and (url.hostname in LOOPBACK or _address(url.hostname, "is_loopback"))
    if not url.hostname or not (url.scheme == "https" or (url.scheme == "http" and local)):
        yield _wrong("jwt_jwks", "The keys could be replaced on their way.", "an https URL (http only to loopback)")
    if url.username is not None or url.password is not None:
        yield _wrong("jwt_jwks", "A secret stands in the URL.", "a URL without user and password")


def url_parts(url: str) -> SplitResult:
    """The parts of a URL; of what is none, empty ones."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _address(text: str, wanted: str) -> bool:
    """A property of an IP address; a name has none."""
    try:
        return bool(getattr(ipaddress.ip_address(text), wanted))
    except ValueError:
        return False


def _wrong(name: str, what: str, expected: str, remedy: str = "Mend the setting.") -> Issue:
    return Issue("bad-option", what, path=name, expected=expected, remedy=remedy)


def _toml(value: Any) -> str:
    """A value as TOML, which writes these types as JSON does."""
    return json.dumps(value, ensure_ascii=False)
