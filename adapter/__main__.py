"""``python -m adapter``, and the same as the command ``fhir-adapter``."""

import sys


def program() -> None:
    """The command line; Ctrl-C ends it in the same way while it is still being loaded."""
    try:
        from adapter.cli import main
    except KeyboardInterrupt:
        sys.exit("Aborted!")
    main()


if __name__ == "__main__":
    program()
