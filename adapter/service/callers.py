"""Who may call: the ``Host`` that a request names, and the credentials of its sender.

Without credentials in the settings everybody may (`adapter.settings` sees to it that only this machine can). No
``Access-Control`` header is ever sent, so no page of another origin reads an answer.
"""

from __future__ import annotations

from functools import partial

from flask import Flask, g, request

from adapter.keys import Keys, looks_like_key
from adapter.service.answers import Refused
from adapter.service.tokens import Invalid, Tokens, Unreachable, caller
from adapter.settings import Settings
from mappings import Issue, MappingError

#: What needs no credentials: what the service says of itself, never what it converts or measures.
OPEN = frozenset(("page", "example", "openapi", "errors", "metadata", "resource", "livez", "readyz"))
_REALM = 'Bearer realm="fhir-adapter"'


def install(app: Flask, settings: Settings) -> None:
    """Check each request before its body is read; ``g.caller`` names the caller for the log."""
    app.before_request(partial(_check_host, settings.allowed_hosts))
    keys = Keys(settings.keys_file) if settings.keys_file else None
    tokens = Tokens(settings) if settings.jwt_jwks else None
    if settings.credentials:
        app.before_request(partial(_check_caller, keys, tokens))


def _check_host(allowed: frozenset[str]) -> None:
    """RFC 9112, 3.2: no Host or an invalid one is a 400; RFC 9110, 7.4: another service's is a 421."""
    given = request.headers.get("Host", "")
    name, _, port = given.rpartition(":") if not given.endswith("]") and ":" in given else (given, "", "")
    if not name or not (port.isdecimal() or port == "") or any(c in given for c in ", /@"):
        raise MappingError(Issue("bad-request", "The Host header is missing or no host.", expected="Host: NAME[:PORT]"))
    if name.lower().removeprefix("[").removesuffix("]").removesuffix(".") not in allowed:
        raise MappingError(Issue("wrong-host", expected="a name in the setting hosts"))


def _check_caller(keys: Keys | None, tokens: Tokens | None) -> None:
    if request.endpoint is None or request.endpoint in OPEN:  # None: no such path, which is answered by 404
        return
    scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
    if not credential:
        raise _unauthenticated("No credentials came with the request.", _REALM)
    if scheme.lower() != "bearer":
        raise _unauthenticated("The credentials are of another scheme.", _REALM)
    credential = credential.strip()
    if keys is not None and looks_like_key(credential):
        name = keys.caller(credential)
        if name is None:
            raise _unauthenticated("The key is not valid.")
        g.caller = name
    elif tokens is not None:
        _check_token(tokens, credential)
    else:
        raise _unauthenticated("The key is not valid.")


def _check_token(tokens: Tokens, credential: str) -> None:
    try:
        claims = tokens.claims(credential)
    except Invalid as error:
        raise _unauthenticated(f"The token is not valid: {error}.") from None
    except Unreachable:
        raise MappingError(Issue("unavailable", "The issuer of the token cannot be reached.")) from None
    g.caller = caller(claims)
    if not tokens.allows(claims):
        issue = Issue("forbidden", "The token lacks the scope for this service.")
        raise Refused(issue, {"WWW-Authenticate": f'{_REALM}, error="insufficient_scope"'})


def _unauthenticated(why: str, challenge: str = f'{_REALM}, error="invalid_token"') -> Refused:
    issue = Issue("unauthenticated", why, expected="Authorization: Bearer KEY-OR-TOKEN")
    return Refused(issue, {"WWW-Authenticate": challenge})
