"""Write the published conformance resources: ``python -m adapter.artifacts [--check] [--licensed DIR]``.

``--check`` writes nothing and says whether ``mappings/fhir`` is current (exit status 1 if not);
``--licensed`` writes the code system fragments with codes that need a licence, to a folder of the
caller's, to be loaded in place of the published ones of the same name.
"""

from __future__ import annotations

import argparse
import gzip
import sys
from pathlib import Path

import mappings
from adapter.artifacts.package import Files, files, named
from adapter.artifacts.terminology import licensed_fragments

TARGET = Path(mappings.__file__).parent / "fhir"


def main(arguments: list[str]) -> int:
    """Do what the arguments say; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m adapter.artifacts", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, say what is not current")
    parser.add_argument("--licensed", type=Path, metavar="DIR", help="write the fragments with licensed codes here")
    options = parser.parse_args(arguments)
    if options.licensed is not None:
        write(options.licensed, named(licensed_fragments()))
        return 0
    wanted = files()
    if options.check:
        stale = differences(TARGET, wanted)
        for name in stale:
            print(f"{name} is not current: run `python -m adapter.artifacts`", file=sys.stderr)
        return 1 if stale else 0
    write(TARGET, wanted)
    for name in sorted(present(TARGET) - wanted.keys()):
        (TARGET / name).unlink()
    print(f"{len(wanted)} files in mappings/fhir")
    return 0


def write(folder: Path, wanted: Files) -> None:
    """Write the files below a folder."""
    for name, raw in wanted.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)


def present(folder: Path) -> set[str]:
    """The names of the files below a folder."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def differences(folder: Path, wanted: Files) -> list[str]:
    """The files that are missing, too many, or of other content."""
    there = present(folder)
    other = {name for name in there & wanted.keys() if _content((folder / name).read_bytes()) != _content(wanted[name])}
    return sorted(there ^ wanted.keys() | other)


def _content(raw: bytes) -> bytes:
    """What a file says; gzip packs the same content otherwise with another version of zlib."""
    return gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
