"""``fhir-adapter check``: the dry run of a reading, with the full report of what would become of every part."""

from __future__ import annotations

import click

from adapter.cli import options
from adapter.cli.messages import refusing
from adapter.files import STREAM, read_bytes, write_all
from adapter.reporting import FullReport, read
from adapter.screen import screen
from adapter.verify import LEVELS, Verify, received
from mappings import encode

FORMATS = ("text", "json", "outcome")


@click.command(short_help="What would become of a Bundle: a dry run.")
@click.argument("bundle")
@click.option("--patient", metavar="ID", help="Which Patient, if the document holds several: its id or fullUrl.")
@options.strict
@click.option(
    "--format",
    "shape",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="One screen, the whole report as JSON, or as a FHIR OperationOutcome.",
)
@click.option(
    "--verify",
    type=click.Choice(LEVELS),
    default="all",
    show_default=True,
    help="Also hold the document against FHIR R4, unless off.",
)
@click.pass_context
def check(context: click.Context, bundle: str, patient: str | None, strict: bool, shape: str, verify: Verify) -> None:
    """Read BUNDLE, write nothing, and tell what would become of every part of it.

    BUNDLE is FHIR R4 of any shape: a Bundle, pages as Parameters, a single resource, NDJSON. The
    report has hashes of the document and of the case, and says whether writing the case back gives
    the document again. Exit status: 0 readable, 1 refused.
    """
    with refusing():
        report = read(read_bytes(bundle), patient, strict, lambda document: received(document, verify, strict))
        write_all([(STREAM, shown(report, shape))])
    context.exit(0 if report.readable else 1)


def shown(report: FullReport, shape: str) -> bytes:
    """The report in one of its forms."""
    if shape == "json":
        return encode(report.as_json(), pretty=True)
    if shape == "outcome":
        return encode(report.as_outcome(), pretty=True)
    return screen(report).encode() + b"\n"
