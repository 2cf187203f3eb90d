"""A server for a test's own answers, which says nothing where the test does not look."""

from __future__ import annotations

import sys
from http.server import ThreadingHTTPServer
from typing import Any


class Listening(ThreadingHTTPServer):
    """A caller that no longer waits is no news: told on standard error, it would stand in that of another test."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell of what is wrong with the server, and of no caller that is gone."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)
