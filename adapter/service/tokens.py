"""Bearer tokens (JWT): whose they are, by the public keys of one issuer.

The key set comes from one configured URL; nothing in a token (``jku``, ``x5u``, ``jwk``) leads anywhere. It is
fetched when it is old, or when a token names a key that is not in it, and not more often than each `PAUSE` seconds
whatever callers send. While the issuer cannot be reached, the old keys go on being valid for a stated time.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from time import monotonic
from typing import Any

import jwt
import requests

from adapter.settings import Settings

FRESH = 300.0  # seconds until the keys are fetched again
PAUSE = 10.0  # seconds between two fetches, whatever happens
TIMEOUT = 5.0  # seconds of one fetch, from its beginning to its end
MAX_SET = 2**20  # bytes of a key set
_CALLER = re.compile(r"[A-Za-z0-9._:@/|-]{1,64}")
_log = logging.getLogger(__name__)


class Unreachable(Exception):
    """The issuer cannot be asked, and no key is at hand: a passing fault."""


class Invalid(Exception):
    """The token is not valid; the text says why, without a value."""


class KeySet:
    """The issuer's public keys, cached."""

    def __init__(self, settings: Settings) -> None:
        self._url, self._stale = settings.jwt_jwks, FRESH + settings.jwt_stale
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = self._tried = float("-inf")
        self._failed = False
        self._lock = threading.Lock()

    def key(self, name: str) -> jwt.PyJWK | None:
        """The key of this ``kid``, if the issuer has it; raises `Unreachable` where that cannot be known."""
        if self._due(name) and self._lock.acquire(blocking=not self._keys):
            try:
                if self._due(name):
                    self._fetch()
            finally:
                self._lock.release()
        elif not self._keys:
            with self._lock:  # somebody fetches the first ones
                pass
        if self._usable(name):
            return self._keys[name]
        if self._failed or self._lock.locked():
            raise Unreachable
        return None

    def _due(self, name: str) -> bool:
        now = monotonic()
        return now - self._tried >= PAUSE and (name not in self._keys or now - self._fetched >= FRESH)

    def _usable(self, name: str) -> bool:
        return name in self._keys and monotonic() - self._fetched < self._stale

    def _fetch(self) -> None:
        self._tried = monotonic()
        try:
            found = jwt.PyJWKSet.from_dict(json.loads(self._get()))
        except (requests.RequestException, jwt.PyJWTError, ValueError, AttributeError, TypeError) as error:
            self._failed = True
            _log.error("the key set of the issuer cannot be had (%s); known keys stay valid", type(error).__name__)
            return
        self._keys = {key.key_id: key for key in found.keys if key.key_id and key.public_key_use in ("sig", None)}
        self._fetched, self._failed = monotonic(), False

    def _get(self) -> bytes:
        """The key set as bytes; no redirect is followed, and neither a slow nor an endless answer is waited for."""
        until = monotonic() + TIMEOUT
        with requests.get(self._url, timeout=TIMEOUT, allow_redirects=False, stream=True, auth=_no_auth) as response:
            if response.status_code != 200:
                raise ValueError("another status than 200")
            found = b""
            for part in response.iter_content(4096):
                found += part
                if len(found) > MAX_SET or monotonic() > until:
                    raise ValueError("too large or too slow")
        return found


class Tokens:
    """The check of bearer tokens against the settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._keys = settings, KeySet(settings)

    def claims(self, token: str) -> dict[str, Any]:
        """The claims of a valid token; raises `Invalid` or `Unreachable`."""
        settings = self._settings
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in settings.jwt_algorithms or not isinstance(header.get("kid"), str):
                raise Invalid("its algorithm is not allowed, or it names no key")
            key = self._keys.key(header["kid"])
            if key is None:
                raise Invalid("the issuer has no such key")
            found: dict[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=list(settings.jwt_algorithms),
                issuer=settings.jwt_issuer,
                audience=settings.jwt_audience,
                leeway=settings.jwt_leeway,
                options={"require": ["exp", "iss", "aud"]},
            )
        except (jwt.PyJWTError, TypeError, ValueError) as error:
            raise Invalid(_REASONS.get(type(error), "it is no valid token")) from None
        return found

    def allows(self, claims: dict[str, Any]) -> bool:
        """Whether the token carries the scope that is asked for."""
        scope = claims.get("scope", claims.get("scp"))
        granted = scope.split() if isinstance(scope, str) else scope if isinstance(scope, list) else []
        return not self._settings.jwt_scope or self._settings.jwt_scope in granted


_REASONS: dict[type[Exception], str] = {
    jwt.ExpiredSignatureError: "it has expired",
    jwt.ImmatureSignatureError: "it is not valid yet",
    jwt.InvalidIssuerError: "another issuer made it",
    jwt.InvalidAudienceError: "it is for another service",
    jwt.MissingRequiredClaimError: "exp, iss and aud must be in it",
    jwt.InvalidSignatureError: "its signature is wrong",
}


def caller(claims: dict[str, Any]) -> str:
    """A name of the caller for the log: the client's, else the subject's."""
    names = (claims.get(name) for name in ("client_id", "azp", "sub"))
    found = next((name for name in names if isinstance(name, str) and _CALLER.fullmatch(name)), "unnamed")
    return f"jwt:{found}"


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """No credentials of a ``.netrc`` go to the issuer."""
    return request
