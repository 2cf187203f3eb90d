"""``fhir-adapter to-fhir``, ``to-case`` and ``demo``: the conversions."""

from __future__ import annotations

from typing import Any

import click

from adapter.cli import options
from adapter.cli.messages import conversion, refusing
from adapter.files import EXAMPLES, STREAM, read_bytes, write_all
from adapter.reporting import full
from adapter.verify import Verify, received, written
from mappings import Report, dump_case, encode, from_fhir, load_case, to_fhir
from mappings.wire import as_plain


@click.command("to-fhir", short_help="Case -> FHIR Bundle.")
@click.argument("case")
@options.bundle
@click.option("--subject", metavar="Patient/ID", help="A Patient that the server has: a transaction then writes none.")
@click.option(
    "--onto", metavar="BUNDLE", help="A received Bundle: write the facts back into it, keep all else as it is."
)
@click.option("--remove", is_flag=True, help="With --onto: also remove what the case no longer has.")
@options.verify
@options.messages
@options.output
def to_fhir_command(case: str, onto: str | None, verify: Verify, messages: str, output: str, **given: Any) -> None:
    """Write the case document CASE as a FHIR R4 Bundle.

    The same case gives the same bytes: no clock is read. If anything is wrong with the case,
    all of it is listed on standard error, nothing is written, and the exit status is 1.
    """
    asked = options.given(given)
    _check_options(case, onto, given)
    report = Report("case-to-fhir")
    with refusing(messages):
        options.separate([output], [case])  # the Bundle may be written in its own place
        before = None if onto is None else as_plain(read_bytes(onto))
        bundle = to_fhir(load_case(read_bytes(case)), onto=before, report=report, **asked)
        faults = received(before, verify)
        report.issues += faults
        write_all([(output, encode(written(bundle, verify, faults), pretty=True))])
        count = len(bundle.get("entry", ()))
        conversion(report, messages, f"{count} entries; {report.mapped} of {report.total} values of the case written")


def _check_options(case: str, onto: str | None, given: dict[str, Any]) -> None:
    """Refuse options that would do nothing: a wrong belief about what was written is worse than an error."""
    if onto is None and given["remove"]:
        raise click.UsageError("--remove needs --onto BUNDLE.")
    if onto == STREAM and case == STREAM:
        raise click.UsageError("Standard input can be CASE or --onto, not both.")
    for name, value in (("--type", given["bundle_type"]), ("--subject", given["subject"])):
        if onto is not None and value is not None:
            raise click.UsageError(f"{name} does not go with --onto: the Bundle keeps its type and its Patient.")
    if onto is not None and given["no_literature"]:
        raise click.UsageError("--no-literature does not go with --onto.")


@click.command("to-case", short_help="FHIR Bundle -> case.")
@click.argument("bundle")
@options.strict
@click.option("--patient", metavar="ID", help="Which Patient, if the Bundle holds several: its id or fullUrl.")
@click.option("--report", "report_file", metavar="FILE", help="Write what became of every value to FILE, as JSON.")
@options.verify
@options.messages
@options.output
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
    with refusing(messages):
        options.separate([output, report_file], [bundle])
        raw = read_bytes(bundle)
        document = as_plain(raw)
        case, report = from_fhir(document, patient=patient, strict=strict)
        report.issues += received(document, verify, strict)
        results = [(output, encode(dump_case(case), pretty=True))]
        if report_file is not None:
            results.append((report_file, encode(full(raw, document, case, report).as_json(), pretty=True)))
        write_all(results)
        made = sum(issue.leaves for issue in report.issues if issue.disposition == "generated")
        shown = f"{report.mapped} of {report.total} values mapped, {made} made by an adapter, {report.rest - made} left"
        conversion(report, messages, shown)


@click.command(short_help="The published case to FHIR and back.")
@click.pass_context
def demo(context: click.Context) -> None:
    """Convert the published case to FHIR and back, and tell what happened.

    The last line is "identical" if the case that came back is the same to the last digit; else it
    is "DIFFERENT" and the exit status is 1.
    """
    from adapter.models import as_model
    from adapter.summary import clinical, technical

    with refusing():
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
