"""``fhir-adapter validate``: FHIR resources, Bundles, NDJSON and cases against their rules."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from adapter.cli.messages import refusing, watched
from adapter.files import STREAM, read_bytes, shown, write_all
from adapter.verify import findings
from mappings import Issue, MappingError, encode
from mappings.report import outcome


@click.command(short_help="FHIR resources or cases against their rules.")
@click.argument("files", nargs=-1, required=True)
@click.option(
    "--format",
    "shape",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="A line a problem, or one JSON object a file with an OperationOutcome.",
)
@click.option("--models", is_flag=True, help="Also ask fhir.resources (R4B models) for a second opinion.")
@click.pass_context
def validate(context: click.Context, files: tuple[str, ...], shape: str, models: bool) -> None:
    """Check FILES: FHIR R4 (4.0.1) resources, Bundles, NDJSON, or case documents.

    Every problem of every file is listed on standard output, with its FHIRPath, the rule, what was
    expected and what to do. The exit status is 1 if anything has an error; warnings do not count.
    """
    errors = warnings = 0
    with refusing():
        for name, issues in _checked(files, models):
            bad = sum(issue.level == "error" for issue in issues)
            errors, warnings = errors + bad, warnings + sum(issue.level == "warning" for issue in issues)
            if shape == "json":
                told = encode({"file": shown(name), "errors": bad, "outcome": outcome(issues, "All good.")}) + b"\n"
            else:
                told = "".join(f"{shown(name)}: {_line(issue)}\n" for issue in issues).encode()
            write_all([(STREAM, told)])
    click.echo(f"{len(files)} file{'s' * (len(files) > 1)}: {errors} errors, {warnings} warnings", err=True)
    context.exit(1 if errors else 0)


def _line(issue: Issue) -> str:
    return issue.line() + (f" [{issue.rule}]" if issue.rule else "")


def _checked(files: tuple[str, ...], models: bool) -> Iterator[tuple[str, list[Issue]]]:
    """Each file and what is wrong with it; a bar on standard error where there are many and somebody looks."""
    hidden = len(files) < 10 or not watched()
    with click.progressbar(files, label="validating", file=sys.stderr, hidden=hidden, show_pos=True) as bar:
        for name in bar:
            try:
                yield name, findings(read_bytes(name), models)
            except MappingError as error:
                yield name, list(error.issues)
