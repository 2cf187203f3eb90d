"""``fhir-adapter send`` and ``fetch``: into a FHIR server, and out again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from math import isnan
from typing import TYPE_CHECKING, Any

import click

from adapter.cli import options
from adapter.cli.messages import conversion, refusing, tell
from adapter.files import STREAM, read_bytes, write_all
from adapter.verify import received
from mappings import Issue, MappingError, dump_case, encode, from_fhir, load_case
from mappings.bundle import MODES
from mappings.wire import as_plain

if TYPE_CHECKING:
    from adapter.client import Server


def _number(context: click.Context, option: click.Parameter, value: float) -> float:
    if isnan(value):  # which is in every range
        raise click.BadParameter("nan is no number.")
    return value


TOKEN = "FHIR_SERVER_TOKEN"
_FILE = click.Path(exists=True, dir_okay=False)
_OPTIONS = (
    click.option("--server", "base", required=True, metavar="URL", help="The base of the server's FHIR interface."),
    click.option("--token-file", metavar="FILE", help=f"A file with the bearer token; else {TOKEN} is taken."),
    click.option("--cert", type=_FILE, help="A client certificate (PEM)."),
    click.option("--key", type=_FILE, help="Its key, if it is not in the same file."),
    click.option(
        "--timeout", type=click.FloatRange(1, 3600), default=60.0, show_default=True, help="Seconds for one answer.",
        callback=_number,
    ),
    click.option("--answer", metavar="FILE", help="Write the server's last answer to FILE, for its owner alone."),
    click.option(
        "--format", "messages", type=click.Choice(["text", "json"]), default="text", show_default=True,
        help="How the report and the messages look.",
    ),
)  # fmt: skip


def _with_server(command: Any) -> Any:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def _read(given: dict[str, Any]) -> list[str | None]:
    """The files that the options have read."""
    return [given[name] for name in ("token_file", "cert", "key")]


@contextmanager
def _server(
    base: str, token_file: str | None, cert: str | None, key: str | None, timeout: float, answer: str | None
) -> Iterator[Server]:
    """The server as the options describe it; its last answer is written where that was asked for, come what may."""
    from adapter.client import Server  # which loads requests

    token = read_bytes(token_file).decode("latin-1").strip() if token_file else os.environ.get(TOKEN)
    if token is not None and not (token.isascii() and token.isprintable() and token and " " not in token):
        expected = "one word of visible ASCII characters"
        raise MappingError(Issue("bad-option", path=token_file or TOKEN, expected=expected))
    server = Server(base, token=token, certificate=(cert, key or cert) if cert else None, seconds=timeout)
    try:
        yield server
    finally:
        if answer is not None:
            write_all([(answer, server.answered)], private=True)


@click.command("send", short_help="A case into a FHIR server.")
@click.argument("what", metavar="CASE|BUNDLE")
@click.option("--mode", type=click.Choice(MODES), help="Write by id, or by identifier.  [default: as the server can]")
@click.option("--subject", metavar="Patient/ID", help="A Patient that the server has: none is written then.")
@_with_server
def send_command(what: str, mode: str | None, subject: str | None, messages: str, **given: Any) -> None:
    """Send a case, or a transaction Bundle, to a FHIR server.

    Its CapabilityStatement is read first, and every gap told at once. Only what is not there, or not
    the same, is sent, in one transaction; then it is read back. Sending again is safe: the same
    resources are written. Where no answer came it is not known whether it was stored: send again.
    Literature is not sent. The report is on standard output, with codes and ids, no values.
    Exit status: 0 all of it is there, 1 it is not, or it is not known.
    """
    from adapter.sending import send

    with refusing(messages):
        options.separate([STREAM, given["answer"]], [what, *_read(given)])
        document = as_plain(read_bytes(what))
        is_case = isinstance(document, dict) and "resourceType" not in document
        if not is_case and (mode or subject):
            raise click.UsageError("--mode and --subject go with a case: a Bundle is sent as it is.")
        with _server(**given) as server:
            told = send(
                server,
                load_case(document) if is_case else document,
                mode=mode,
                subject=subject,
                announce=lambda line: click.echo(line, err=True),
            )
        if messages == "json":
            write_all([(STREAM, encode(told.as_json(), pretty=True))])
        else:
            tell([issue for issue in told.issues if issue.level != "information"], messages)
            write_all([(STREAM, told.as_text().encode() + b"\n")])
        raise click.exceptions.Exit(0 if told.whole else 1)


@click.command("fetch", short_help="A case out of a FHIR server.")
@click.option("--patient", metavar="ID", help="The id of the Patient on the server.")
@click.option(
    "--patient-identifier", "identifier", metavar="SYSTEM|VALUE", help="An identifier of the Patient instead."
)
@click.option("--bundle", metavar="FILE", help="Also write what came to FILE, as one Bundle.")
@options.output
@_with_server
def fetch_command(
    patient: str | None, identifier: str | None, bundle: str | None, messages: str, output: str, **given: Any
) -> None:
    """Fetch all that a FHIR server has of a patient, and read it into a case document.

    By $everything, or by searches where the server lacks it, all pages, and what they refer to.
    What was sent by send comes back as the same case. Messages are those of to-case.
    """
    from adapter.fetching import fetch, patient_id

    if (patient is None) == (identifier is None):
        raise click.UsageError("Give --patient ID or --patient-identifier SYSTEM|VALUE.")
    with refusing(messages):
        options.separate([output, bundle, given["answer"]], _read(given))
        with _server(**given) as server:
            click.echo(f"Fetching from {server.base}", err=True)
            id_ = patient_id(server, patient, identifier)
            found = fetch(server, id_)
        case, report = from_fhir(found, patient=f"Patient/{id_}")
        report.issues += received(found, "all")
        results = [(output, encode(dump_case(case), pretty=True))]
        if bundle is not None:
            results.append((bundle, encode(found, pretty=True)))
        write_all(results)
        count = len(found["entry"])
        conversion(report, messages, f"{count} resources; {report.mapped} of {report.total} values mapped")
