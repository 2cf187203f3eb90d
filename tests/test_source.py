"""What must not stand in the project: the report's own sentences, and paths of the machine it was made on."""

from __future__ import annotations

import re
import subprocess
from base64 import b64decode
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT.parent / "shared" / "source" / "case-report.txt"
RUN = 9
ATTACHED = re.compile(r'"data":\s*"((?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)"')
#: Roots of a home or a workspace, put together so that this file does not hold them.
MACHINE = re.compile(
    rf"(?<![\w.:/-])/(?:{'|'.join(('work', 'root', 'home', 'Users', 'mnt'))})/[\w.-]|/tmp/(?:venv|bash)"
)


@cache
def texts() -> dict[str, str]:
    """The text of every file of the project that is tracked, or would be, and what is attached in it, by its path."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no git checkout, so no one can say which files are the project's")
    found = {}
    for name in listed.stdout.decode().split("\0"):
        raw = (ROOT / name).read_bytes() if name and (ROOT / name).is_file() else b""
        if raw and b"\0" not in raw:
            text = raw.decode("utf-8", "replace")
            found[name] = "\n".join(
                [text, *(b64decode(data).decode("utf-8", "replace") for data in ATTACHED.findall(text))]
            )
    return found


def words(text: str) -> list[str]:
    """The words of a text in lower case, without tags, escapes and punctuation."""
    plain = re.sub(r"<[^<>]{1,80}>|\\[nt\"]", " ", text)
    return re.findall(r"[^\W_]+", plain.lower())


def runs(text: str, length: int = RUN) -> set[tuple[str, ...]]:
    """Every run of so many words."""
    found = words(text)
    return {tuple(found[i : i + length]) for i in range(len(found) - length + 1)}


def source_runs() -> set[tuple[str, ...]]:
    """The runs of the report, with words broken at the end of a line put together, and as they are printed."""
    if not SOURCE.exists():
        pytest.skip("the case report is not in the repository and not beside it")
    text = SOURCE.read_text(encoding="utf-8")
    return runs(text) | runs(re.sub(r"-\s*\n\s*", "", text)) | runs(re.sub(r"-\s*\n\s*", "-", text))


def test_a_copied_sentence_would_be_found() -> None:
    """The check sees a run across lines, tags, punctuation and case."""
    copied = "One two,\nthree <b>four</b> FIVE six-seven; eight nine ten"
    assert tuple(words("one two three four five six seven eight nine")) in runs(copied)
    assert runs("one two three four five six seven eight") == set()


def test_no_sentence_of_the_report_is_copied() -> None:
    """No run of nine words of the case report stands in any text of the project."""
    report = source_runs()
    assert len(report) > 1000
    copied = {name: " ".join(sorted(found)[0]) for name, text in texts().items() if (found := runs(text) & report)}
    assert copied == {}


def test_no_path_of_this_machine() -> None:
    """No tracked text names a folder of the machine on which it was made."""
    found = {name: match[0] for name, text in texts().items() if (match := MACHINE.search(text))}
    assert found == {}


def test_a_path_would_be_found() -> None:
    """The check sees a path and leaves URLs and relative paths alone."""
    assert MACHINE.search("see " + "/".join(("", "work", "main", "x.py")))
    assert not MACHINE.search("https://h.example/work/main, ./root/x, Patient/home/1")
