"""The endpoint under gunicorn: its settings, its worker, and its errors in our form.

Tables are loaded before the workers fork. A worker that is told to stop takes what has reached its socket, closes it,
and answers everything that it took. Workers are not recycled: their memory stays flat.

``prometheus_client`` looks once, when it is imported, whether several processes count together; therefore this module
is imported only after ``PROMETHEUS_MULTIPROC_DIR`` is set (`adapter.cli.serve`).
"""

from __future__ import annotations

import socket
import struct
import uuid
from time import monotonic
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from gunicorn.http import errors
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import ThreadWorker
from prometheus_client.multiprocess import mark_process_dead

from adapter.memory import settle
from adapter.service import create_app
from adapter.service.answers import RETRY
from adapter.service.asking import FHIR
from adapter.service.logs import Handler, configure, refused_line
from adapter.service.ready import prove
from adapter.settings import Settings
from mappings import Issue, encode
from mappings.report import outcome

SPARE_THREADS = 16  # beside those that convert: they refuse, and tell how the service is
#: Times the setting ``idle`` that a caller may take to send a request, however steadily it drips.
WHOLE = 3
LINE, FIELDS, FIELD = 4094, 64, 8190  # bytes of a request line, header fields, bytes of one

#: Why gunicorn refused a request: status, what was expected. What would fail again is no 5xx, whatever RFC 9112 likes.
REFUSED: dict[type[Exception], tuple[int, str]] = {
    errors.LimitRequestLine: (414, f"a request line of {LINE} bytes or fewer"),
    errors.LimitRequestHeaders: (431, f"{FIELDS} header fields or fewer, of {FIELD} bytes or fewer"),
    errors.ExpectationFailed: (417, "no Expect but 100-continue"),
    errors.UnsupportedTransferCoding: (400, "Transfer-Encoding: chunked, or none"),
}


class Caller(socket.socket):
    """The socket of a caller; after ``until`` nothing more is read from it."""

    until = 0.0

    def recv(self, *arguments: int) -> bytes:
        """What comes next of a request."""
        if monotonic() > self.until:
            raise TimeoutError
        return super().recv(*arguments)


class Worker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's threaded worker: slow callers are dropped, accepted ones answered, errors are OperationOutcomes."""

    def enqueue_req(self, conn: Any) -> None:
        """Bound each wait for the caller; a blocking socket would hold its thread for ever."""
        if not isinstance(conn.sock, Caller):
            conn.sock = Caller(fileno=conn.sock.detach())
        pause = struct.pack("ll", int(self.app.settings.idle), 0)
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            conn.sock.setsockopt(socket.SOL_SOCKET, option, pause)
        super().enqueue_req(conn)

    def handle(self, conn: Any) -> Any:
        """Bound all of the waits for one request, its head and its body together."""
        conn.sock.until = monotonic() + WHOLE * self.app.settings.idle
        return super().handle(conn)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM: what runs is finished; what only waits is answered 503, to be sent to another instance."""
        super().handle_exit(sig, frame)
        self.app.wsgi().extensions["gate"].draining.set()

    def set_accept_enabled(self, enabled: bool) -> None:
        """On the way out take what waits at the socket, then close it: nobody waits for an answer in vain."""
        if not self.alive and self._accepting:
            for listener in self.sockets:
                before = -1
                while before != self.nr_conns < self.worker_connections:
                    before = self.nr_conns
                    self.accept(listener)
        super().set_accept_enabled(enabled)
        if not self.alive:
            for listener in self.sockets:
                listener.close()

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """What the application never saw, answered as it would have."""
        known = isinstance(exc, errors.ParseException)
        status, expected = REFUSED.get(type(exc), (400, "HTTP/1.1 as in RFC 9112")) if known else (500, "")
        request_id = str(uuid.uuid4())
        refused_line(request_id, status)
        if not known:
            self.log.exception("a request failed outside the application")
        body = encode(outcome([Issue("bad-request" if known else "bug", expected=expected)]))
        head = (
            f"HTTP/1.1 {status} Refused\r\nContent-Type: {FHIR}; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
            f"Connection: close\r\nX-Request-Id: {request_id}\r\nX-Retry: {RETRY.get(status, 'after-fix')}\r\n\r\n"
        )
        try:
            write_nonblock(client, head.encode() + body)
        except OSError:
            pass  # the caller went away


class Log(Logger):  # type: ignore[misc]
    """gunicorn's log, through ours."""

    def setup(self, cfg: Any) -> None:
        """No handler but ours."""
        super().setup(cfg)
        self.error_log.handlers = [Handler()]


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn with our settings and none of its own files, variables or sockets."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        super().__init__()

    def load_config(self) -> None:
        """All that differs from gunicorn's defaults."""
        settings = self.settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        given = {
            "bind": f"{host}:{settings.port}",
            "workers": settings.workers,
            "worker_class": Worker,
            "threads": settings.queue + SPARE_THREADS,
            "timeout": int(settings.seconds) + 30,  # of a worker that does not even turn its loop
            "graceful_timeout": int(settings.drain),
            "keepalive": 5,
            "limit_request_line": LINE,
            "limit_request_fields": FIELDS,
            "limit_request_field_size": FIELD,
            "forwarded_allow_ips": "",
            "preload_app": True,
            "logger_class": Log,
            "control_socket_disable": True,
            "proc_name": "fhir-adapter",
            "child_exit": lambda _, worker: mark_process_dead(worker.pid),  # type: ignore[no-untyped-call]
        }
        for name, value in given.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """The application, warm; what is loaded now is shared by the workers and no longer looked at by their gc."""
        configure()
        app = create_app(self.settings)
        try:
            prove()
        except Exception:
            app.logger.exception("the self-test does not pass; /readyz says so")
        settle()
        return app
