"""Reading a document and writing results so that nothing is ever half-written.

A result goes to a temporary file in its own folder, readable by its owner alone, and gets its
name only when it is whole. Several results get their names only when all of them are whole. A result
that grows for hours (`Growing`) does the same, and can be taken up again after a kill.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, TextIO

from mappings import Issue, MappingError

STREAM = "-"  # standard input or output
_STANDARD = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
_OPEN = re.compile(r"/(?:dev|proc/self)/fd/(\d+)")
_HERE = Path(__file__).parent
#: The example cases, a folder each: in the repository beside the packages, in a wheel inside this one (setup.cfg).
EXAMPLES = next(folder for folder in (_HERE / "examples", _HERE.parent / "examples") if folder.is_dir())


def read_bytes(path: str) -> bytes:
    """The bytes of a file, or of standard input for ``-``; raises `MappingError` (not-readable)."""
    try:
        return standard(sys.stdin).read() if path == STREAM else Path(path).read_bytes()
    except OSError as error:
        raise MappingError(Issue("not-readable", why(error), path=shown(path))) from None


def standard(stream: TextIO | None) -> BinaryIO:
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
            with refusing(path):
                if _is_plain(path):
                    staged.append((path, *_stage(path, data, overwrite, private)))
        for path, part, target in staged:
            with refusing(path):
                os.replace(part, target)
    finally:
        for _, part, _ in staged:
            part.unlink(missing_ok=True)
    for path, data in results:
        with refusing(path):
            if path == STREAM:
                _write(standard(sys.stdout), data)
            elif not _is_plain(path):
                with _in_place(path) as stream:
                    _write(stream, data)


def _write(stream: BinaryIO, data: bytes) -> None:
    """Write all of it and have it leave, or raise; a stream without a buffer takes what it can and says how much."""
    rest = memoryview(data)
    while rest:
        taken = stream.write(rest)
        if not taken:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        rest = rest[taken:]
    if data:
        stream.flush()


@contextlib.contextmanager
def refusing(path: str) -> Iterator[None]:
    """A failure to write as an issue; a reader that went away is left to click, which is quiet about it."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise MappingError(Issue("not-writable", why(error), path=shown(path))) from None


def why(error: OSError) -> str:
    """What the system says."""
    return f"{error.strerror or type(error).__name__}."


def shown(name: str) -> str:
    """The name of a file as text: what of it is not UTF-8 is told by its bytes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _is_plain(path: str) -> bool:
    """Whether the path is, or will be, an ordinary file; a folder counts, so that it is refused as one."""
    return not is_stream(path) and (os.path.isdir(path) or os.path.isfile(path) or not os.path.exists(path))


def is_stream(path: str) -> bool:
    """Whether the path is no place, but something that is open already."""
    return path == STREAM or _number(path) is not None


def _number(path: str) -> int | None:
    found = _OPEN.fullmatch(path)
    return int(found[1]) if found else _STANDARD.get(path)


def place(path: str) -> str | None:
    """Where a result goes, the same for all of its names; None for a pipe or a device, which takes several."""
    if is_stream(path):
        return f"/dev/fd/{1 if path == STREAM else _number(path)}"
    with refusing(path):
        return os.path.realpath(path) if _is_plain(path) else None


def _in_place(path: str) -> BinaryIO:
    """What cannot be replaced, to write to; an open file goes on where it is, even where a path leads to it."""
    number = _number(path)
    return Path(path).open("wb") if number is None else os.fdopen(os.dup(number), "wb")


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


class Growing:
    """A result that is written bit by bit: a file that gets its name when it is whole, or a stream at once.

    The file grows under a hidden name beside its place and stays there when the process is killed;
    ``begin(length)`` of a later process goes on after so many bytes. Raises `MappingError` (not-writable).
    """

    _file: BinaryIO | None = None

    def __init__(self, path: str, stream: TextIO | None = None) -> None:
        plain = stream is None and _is_plain(path)
        self.path, self.target = path, Path(os.path.realpath(path) if plain else path)
        self.part = hidden(path, "part") if plain else None
        self._standard = stream or sys.stdout if self.part is None and (stream or path == STREAM) else None
        with refusing(path):
            self._rights = 0 if self.part is None else _mode(self.target, True)
        self._opened = contextlib.ExitStack()

    @property
    def unfinished(self) -> bool:
        """Whether an earlier process left it without its name."""
        return self.part is not None and self.part.exists()

    def begin(self, length: int = 0) -> None:
        """Open the file anew, or after its first ``length`` bytes, which must be there."""
        with refusing(self.path):
            if self._standard is not None:
                self._file = standard(self._standard)
                return
            if self.part is None:
                self._file = self._opened.enter_context(_in_place(self.path))
                return
            if not length and self.unfinished:
                with hold(self.part, 0):  # nobody else is at it
                    self.part.unlink()
            self._file = self._opened.enter_context(hold(self.part, 0 if length else os.O_CREAT | os.O_EXCL))
            if self._file.seek(0, os.SEEK_END) < length:
                raise OSError(errno.EIO, f"{self.part} is shorter than it was")
            self._file.truncate(length)
            self._file.seek(length)

    def write(self, data: bytes) -> int:
        """Write the bytes; gives the length of the file so far, of a stream 0."""
        assert self._file is not None, "it was begun"
        with refusing(self.path):
            if self.part is None:
                _write(self._file, data)
                return 0
            self._file.write(data)
            return self._file.tell()

    def keep(self) -> None:
        """Have the disk keep what was written."""
        if self.part is not None and self._file is not None:
            with refusing(self.path):
                self._file.flush()
                os.fsync(self._file.fileno())

    def finish(self) -> None:
        """Give the whole file its name, and only then let go of it; nothing is left to do where it has it already."""
        self.keep()
        if self.part is not None and self._file is not None:
            with refusing(self.path):
                self.part.chmod(self._rights)
                os.replace(self.part, self.target)
        self.close()

    def close(self) -> None:
        """Let go of the file; a standard stream stays open. What a full disk does not take was told before."""
        with contextlib.suppress(OSError):
            self._opened.close()


def hidden(path: str, suffix: str) -> Path:
    """A hidden name beside the place of ``path`` (a link's target)."""
    target = Path(os.path.realpath(path))
    return target.with_name(f".{target.name}.{suffix}")


def hold(path: Path, flags: int) -> BinaryIO:
    """Open a hidden file to read and write, for its owner alone, held by this process until it is closed.

    A link in its place is not followed. Raises `MappingError` (not-writable; bad-option where another holds it).
    """
    with refusing(str(path)):
        file = os.fdopen(os.open(path, flags | os.O_RDWR | os.O_NOFOLLOW, 0o600), "r+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                return file
        except (BlockingIOError, FileNotFoundError):  # another holds it, or has given it its name meanwhile
            pass
        file.close()
    raise MappingError(
        Issue("bad-option", "Another process is at this result.", path=shown(str(path)), expected="to wait for it")
    )


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
