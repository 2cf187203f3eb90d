"""``python -m adapter``: the same as the command ``fhir-adapter``."""

from adapter.cli import main

main(prog_name="python -m adapter")
