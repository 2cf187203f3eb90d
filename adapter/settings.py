"""What can be set about the endpoint, with its defaults."""

from __future__ import annotations

from dataclasses import dataclass

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one endpoint; sizes in bytes, times in seconds."""

    host: str = "127.0.0.1"
    port: int = 8080
    #: what the ``Host`` header may name; nothing else is answered
    hosts: tuple[str, ...] = LOOPBACK
    max_body: int = 10 * 2**20
    #: of a gzip body, unpacked
    max_unpacked: int = 50 * 2**20
    max_depth: int = 64
    max_entries: int = 5000
    #: for one conversion
    seconds: float = 25.0
    #: conversions that run or wait in one worker; more are answered 429
    queue: int = 16
