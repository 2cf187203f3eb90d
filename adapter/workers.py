"""Processes that do one piece of work after another, each over a pipe of its own: the death of one is seen at once.

The pools of the standard library have one pipe for the results of all. Where a process is killed in the midst of
writing, the rest of its message never comes, the others hold the pipe open, and whoever reads waits for ever.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from typing import Generic, TypeVar

from adapter.memory import settle

Piece = TypeVar("Piece")
Result = TypeVar("Result")


class Gone(Exception):
    """A worker ended before its work: it was killed, perhaps for want of memory."""


class NotStarted(Exception):
    """The system gives no process, or no pipe to it."""


class Workers(Generic[Piece, Result]):
    """At most ``jobs`` processes, begun as they are needed, killed at the end; for each a thread here that waits.

    ``work`` and what goes in and out must be such as can be pickled, what ``work`` raises too. ``module`` is loaded
    once for all of them.
    """

    def __init__(self, work: Callable[[Piece], Result], jobs: int, module: str) -> None:
        self._work, self._jobs = work, jobs
        with _starting():
            self._context = _server(module)
        self._threads = ThreadPoolExecutor(jobs)
        self._processes: list[BaseProcess] = []
        self._free: SimpleQueue[Connection] = SimpleQueue()

    def __enter__(self) -> Workers[Piece, Result]:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
        self._threads.shutdown(cancel_futures=True)
        while not self._free.empty():
            self._free.get().close()
        for process in self._processes:
            process.join()

    def submit(self, piece: Piece) -> Future[Result]:
        """What will come of the piece; asking for it raises what the work raised, `Gone` where its process is."""
        if len(self._processes) < self._jobs:
            self._begin()
        return self._threads.submit(self._ask, piece)

    def _begin(self) -> None:
        with _starting():
            near, far = self._context.Pipe()
            process = self._context.Process(target=_serve, args=(far, self._work), daemon=True)
            process.start()
        far.close()  # the process alone has it now, and it is closed when that dies
        self._processes.append(process)
        self._free.put(near)

    def _ask(self, piece: Piece) -> Result:
        pipe = self._free.get()
        try:
            pipe.send(piece)
            result, error = pipe.recv()
        except (EOFError, OSError):
            raise Gone from None
        finally:
            self._free.put(pipe)
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]


@contextmanager
def _starting() -> Iterator[None]:
    try:
        yield
    except (EOFError, OSError) as error:
        raise NotStarted(getattr(error, "strerror", None) or str(error) or type(error).__name__) from None


def _server(module: str) -> ForkServerContext:
    """What starts the workers: a process that has the module loaded already, and leaves Ctrl-C to us as they do."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([module])
    resource_tracker.ensure_running()  # else the server starts it, which lets Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context


def _serve(pipe: Connection, work: Callable[[Piece], Result]) -> None:
    """A worker: a piece in, a result out, until the process that asks has no more, or is gone."""
    settle()
    with suppress(EOFError, OSError):
        while True:
            pipe.send(_tried(work, pipe.recv()))


def _tried(work: Callable[[Piece], Result], piece: Piece) -> tuple[Result | None, Exception | None]:
    """The result, or what was raised instead."""
    try:
        return work(piece), None
    except Exception as error:
        return None, error
