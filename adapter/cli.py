"""The command line: ``fhir-adapter``, also ``python -m adapter``.

Results go to standard output or to ``-o FILE``, messages to standard error. Exit status: 0 done,
1 refused or failed (each problem is one line, or one OperationOutcome with ``--format json``),
2 the command line itself is wrong. A file is written whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from adapter import cli_client, cli_options, cli_serve, listings
from adapter.bugs import bug
from adapter.cli_bulk import bulk
from adapter.cli_check import check
from adapter.cli_plot import plot
from adapter.cli_validate import validate
from adapter.files import EXAMPLES, STREAM, read_bytes, write_all
from adapter.reporting import full
from adapter.verify import Verify, received, written
from mappings import (
    Issue,
    MappingError,
    Report,
    __version__,
    case_json_schema,
    dump_case,
    encode,
    from_fhir,
    load_case,
    to_fhir,
)
from mappings.report import outcome
from mappings.wire import as_plain

_output = click.option("-o", "--output", default=STREAM, metavar="FILE", help="Write to FILE, not to standard output.")
_messages = click.option(
    "--format",
    "messages",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How messages on standard error look: a line each, or one FHIR OperationOutcome.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="fhir-adapter")
def main() -> None:
    """Convert a scleromyxedema case (JSON) to FHIR R4 and back.

    \b
      fhir-adapter demo                          see it work on the published case
      fhir-adapter new -o case.json              start a case of your own
      fhir-adapter to-fhir case.json -o b.json   case -> FHIR Bundle
      fhir-adapter to-case b.json                FHIR Bundle -> case
      fhir-adapter validate b.json               FHIR or case, against the rules

    "-" is standard input or output. Exit status: 0 done, 1 refused (what is wrong is on standard
    error, all of it at once), 2 wrong command line.
    """


# --- messages -----------------------------------------------------------------------------------


@contextmanager
def _refusing(messages: str = "text") -> Iterator[None]:
    """The one way out of a command that cannot do its work: the issues on standard error, exit status 1 or 2."""
    try:
        yield
    except MappingError as error:
        issues: Sequence[Issue] = error.issues
    except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
        raise
    except Exception as error:
        issues = [bug(error, "Report this line; nothing was written, and the input is unharmed.")]
    else:
        return
    _tell(issues, messages)
    raise click.exceptions.Exit(2 if all(issue.code == "bad-option" for issue in issues) else 1)


def _tell(issues: Sequence[Issue], messages: str, summary: str = "") -> None:
    """The issues on standard error; a summary line only where people read it."""
    if messages == "json":
        click.echo(encode(outcome(issues), pretty=True).decode(), err=True, nl=False)
        return
    for issue in issues:
        click.echo(issue.line(), err=True)
    if summary:
        click.echo(summary, err=True)


def _report(report: Report, messages: str, summary: str) -> None:
    """What a finished conversion has to say: all of it as JSON; as text the warnings and errors, the notes counted."""
    if messages == "json":
        return _tell(report.issues, messages)
    loud = [issue for issue in report.issues if issue.level != "information"]
    notes = sum(issue.level == "information" and issue.disposition != "generated" for issue in report.issues)
    return _tell(loud, messages, summary + (f"; {notes} notes (--format json shows them)" if notes else ""))


# --- the conversions ----------------------------------------------------------------------------


@main.command("to-fhir", short_help="Case -> FHIR Bundle.")
@click.argument("case")
@cli_options.bundle
@click.option("--subject", metavar="Patient/ID", help="A Patient that the server has: a transaction then writes none.")
@click.option(
    "--onto", metavar="BUNDLE", help="A received Bundle: write the facts back into it, keep all else as it is."
)
@click.option("--remove", is_flag=True, help="With --onto: also remove what the case no longer has.")
@cli_options.verify
@_messages
@_output
def to_fhir_command(case: str, onto: str | None, verify: Verify, messages: str, output: str, **options: Any) -> None:
    """Write the case document CASE as a FHIR R4 Bundle.

    The same case gives the same bytes: no clock is read. If anything is wrong with the case,
    all of it is listed on standard error, nothing is written, and the exit status is 1.
    """
    given = cli_options.given(options)
    _check_options(case, onto, options)
    report = Report("case-to-fhir")
    with _refusing(messages):
        before = None if onto is None else as_plain(read_bytes(onto))
        bundle = to_fhir(load_case(read_bytes(case)), onto=before, report=report, **given)
        report.issues += received(before, verify)
        write_all([(output, encode(written(bundle, verify, before), pretty=True))])
        count = len(bundle.get("entry", ()))
        _report(report, messages, f"{count} entries; {report.mapped} of {report.total} values of the case written")


def _check_options(case: str, onto: str | None, options: dict[str, Any]) -> None:
    """Refuse options that would do nothing: a wrong belief about what was written is worse than an error."""
    if onto is None and options["remove"]:
        raise click.UsageError("--remove needs --onto BUNDLE.")
    if onto == STREAM and case == STREAM:
        raise click.UsageError("Standard input can be CASE or --onto, not both.")
    for name, value in (("--type", options["bundle_type"]), ("--subject", options["subject"])):
        if onto is not None and value is not None:
            raise click.UsageError(f"{name} does not go with --onto: the Bundle keeps its type and its Patient.")
    if onto is not None and options["no_literature"]:
        raise click.UsageError("--no-literature does not go with --onto.")


@main.command("to-case", short_help="FHIR Bundle -> case.")
@click.argument("bundle")
@cli_options.strict
@click.option("--patient", metavar="ID", help="Which Patient, if the Bundle holds several: its id or fullUrl.")
@click.option("--report", "report_file", metavar="FILE", help="Write what became of every value to FILE, as JSON.")
@cli_options.verify
@_messages
@_output
def to_case_command(
    bundle: str,
    strict: bool,
    patient: str | None,
    report_file: str | None,
    verify: Verify,
    messages: str,
    output: str,
) -> None:
    """Read the FHIR R4 BUNDLE into a case document.

    What is not mapped is reported, never guessed, and is not lost: to-fhir --onto BUNDLE writes the
    case back into the same Bundle. A resource with a modifier that is not understood is left out
    with an error line and the exit status is still 0; --strict refuses instead.
    """
    if report_file is not None and _same(report_file, output):
        raise click.UsageError("--report and the case need two places: give -o FILE.")
    with _refusing(messages):
        raw = read_bytes(bundle)
        document = as_plain(raw)
        case, report = from_fhir(document, patient=patient, strict=strict)
        report.issues += received(document, verify, strict)
        results = [(output, encode(dump_case(case), pretty=True))]
        if report_file is not None:
            results.append((report_file, encode(full(raw, case, report).as_json(), pretty=True)))
        write_all(results)
        made = sum(issue.leaves for issue in report.issues if issue.disposition == "generated")
        shown = f"{report.mapped} of {report.total} values mapped, {made} made by an adapter, {report.rest - made} left"
        _report(report, messages, shown)


def _same(one: str, other: str) -> bool:
    return one == other or (STREAM not in (one, other) and Path(one).resolve() == Path(other).resolve())


# --- documents ----------------------------------------------------------------------------------


@main.command(short_help="Where every field of a case lies in FHIR.")
@click.argument("concept", required=False)
@click.option("--format", "shape", type=click.Choice(["text", "md", "json"]), default="text", show_default=True)
@click.option("--compiled", is_flag=True, help="The Python that the rows are compiled to.")
@_output
def table(concept: str | None, shape: str, compiled: bool, output: str) -> None:
    """Show the mapping table, all of it or that of one CONCEPT.

    CONCEPT is a concept (Therapy), a section of the case (therapies) or a FHIR type
    (MedicationStatement). The table is made from the mapping itself, so it cannot be out of date.
    """
    from adapter.table_text import FORMATS, about, names

    lines = about(concept)
    if not lines:
        raise click.BadParameter(f"There is none of this name. Concepts: {', '.join(names(about(None)))}.")
    with _refusing():
        write_all([(output, FORMATS["python" if compiled else shape](lines).encode())])


@main.command(short_help="The JSON Schema of a case.")
@_output
def schema(output: str) -> None:
    """Write the JSON Schema (2020-12) of the case document."""
    with _refusing():
        write_all([(output, encode(case_json_schema(), pretty=True))])


@main.command(short_help="A case to start from.")
@_output
def new(output: str) -> None:
    """Write a case to start from, and a guide to it on standard error.

    The case loads and converts as it is; it claims nothing and is labelled as test data. JSON has
    no comments, so they stand in the guide (2> guide.txt keeps it). A FILE that exists is not overwritten.
    """
    from adapter.skeleton import guide, skeleton

    with _refusing():
        write_all([(output, encode(dump_case(skeleton()), pretty=True))], overwrite=False)
        click.echo(guide(), err=True)


@main.command(short_help="The published case to FHIR and back.")
@click.pass_context
def demo(context: click.Context) -> None:
    """Convert the published case to FHIR and back, and tell what happened.

    The last line is "identical" if the case that came back is the same to the last digit; else it
    is "DIFFERENT" and the exit status is 1.
    """
    from adapter.models import as_model
    from adapter.summary import clinical, technical

    with _refusing():
        case = load_case(read_bytes(str(EXAMPLES / "published-case" / "case.json")))
        written = Report("case-to-fhir")
        bundle = to_fhir(case, report=written)
        as_model(bundle)
        back, read = from_fhir(encode(bundle))
        identical = encode(dump_case(back)) == encode(dump_case(case))
        told = [
            clinical(case),
            f"{technical(bundle, written, read)}\nfhir.resources (R4B models) accepts the Bundle",
            "The case that came back, compared with the one that went in, to the last digit:",
            "identical" if identical else "DIFFERENT",
        ]
        write_all([(STREAM, "\n\n".join(told).encode() + b"\n")])
    context.exit(0 if identical else 1)


main.add_command(validate)
main.add_command(check)
main.add_command(bulk)
main.add_command(plot)
listings.add_to(main)
cli_serve.add_to(main)
cli_client.add_to(main)
