"""Reading a document and writing results so that nothing is ever half-written.

A result goes to a temporary file in its own folder, readable by its owner alone, and gets its
name only when it is whole. Several results get their names only when all of them are whole.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, TextIO

from mappings import Issue, MappingError

STREAM = "-"  # standard input or output
_HERE = Path(__file__).parent
#: The example cases, a folder each: in the repository beside the packages, in a wheel inside this one (setup.cfg).
EXAMPLES = next(folder for folder in (_HERE / "examples", _HERE.parent / "examples") if folder.is_dir())


def read_bytes(path: str) -> bytes:
    """The bytes of a file, or of standard input for ``-``; raises `MappingError` (not-readable)."""
    try:
        return _buffer(sys.stdin).read() if path == STREAM else Path(path).read_bytes()
    except OSError as error:
        raise MappingError(Issue("not-readable", _why(error), path=path)) from None


def _buffer(stream: TextIO | None) -> BinaryIO:
    """The bytes of a standard stream, which is missing where the caller closed it."""
    if stream is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return stream.buffer


def write_all(results: Sequence[tuple[str, bytes]], *, overwrite: bool = True, private: bool = False) -> None:
    """Write each (path, bytes), ordinary files before streams, all or none.

    Raises `MappingError` (not-writable). What cannot be replaced safely, such as a pipe or a
    device, is written in place. Without ``overwrite`` a file that exists is refused. What is
    ``private`` is readable by its owner alone.
    """
    staged: list[tuple[str, Path, Path]] = []
    try:
        for path, data in results:
            with _refusing(path):
                if _is_plain(path):
                    staged.append((path, *_stage(path, data, overwrite, private)))
        for path, part, target in staged:
            with _refusing(path):
                os.replace(part, target)
    finally:
        for _, part, _ in staged:
            part.unlink(missing_ok=True)
    for path, data in results:
        with _refusing(path):
            if path == STREAM:
                _buffer(sys.stdout).write(data)
                sys.stdout.flush()
            elif not _is_plain(path):
                Path(path).write_bytes(data)


@contextlib.contextmanager
def _refusing(path: str) -> Iterator[None]:
    """A failure to write as an issue; a reader that went away is left to click, which is quiet about it."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise MappingError(Issue("not-writable", _why(error), path=path)) from None


def _why(error: OSError) -> str:
    return f"{error.strerror or type(error).__name__}."


def _is_plain(path: str) -> bool:
    """Whether the path is, or will be, an ordinary file; a folder counts, so that it is refused as one."""
    return path != STREAM and (os.path.isdir(path) or os.path.isfile(path) or not os.path.exists(path))


def _stage(path: str, data: bytes, overwrite: bool, private: bool) -> tuple[Path, Path]:
    """The whole result beside its place; gives the temporary file and the place (a link's target)."""
    target = Path(os.path.realpath(path))
    mode = _mode(target, overwrite)
    handle, name = tempfile.mkstemp(prefix=".fhir-adapter-", dir=target.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        part.chmod(0o600 if private else mode)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return part, target


def _mode(target: Path, overwrite: bool) -> int:
    """The rights of the file that is replaced, else those that the umask gives; raises what opening it would."""
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if target.exists():
        if not overwrite:
            raise FileExistsError(errno.EEXIST, "The file exists and is not overwritten")
        if not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return target.stat().st_mode & 0o777
    umask = os.umask(0o077)
    os.umask(umask)
    return 0o666 & ~umask
