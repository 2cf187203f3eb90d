"""What the independent judge says of FHIR R4 files: ``python -m tests.judge FILE...``.

The exit status is 1 if it finds an error or a warning, and 2 if it cannot be asked.
"""

import argparse
import sys
from pathlib import Path

from .judge import Judge, JudgeError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.judge", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a resource in JSON")
    parser.add_argument(
        "--with",
        dest="directories",
        action="append",
        default=[],
        metavar="DIR",
        help="a directory of profiles, value sets and code systems to judge by (repeatable)",
    )
    options = parser.parse_args()
    clean = True
    try:
        with Judge(*options.directories) as judge:
            for file in options.files:
                messages = judge.check(file.read_bytes())
                print(f"{file}:" if messages else f"{file}: no messages")
                for message in messages:
                    print(f"  {message}")
                    clean = clean and message.severity == "information"
    except (JudgeError, OSError, UnicodeDecodeError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0 if clean else 1


if __name__ == "__main__":
    raise SystemExit(main())
