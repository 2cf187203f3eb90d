"""Lists for people and spreadsheets: the data dictionary, the gaps of a case, its flat tables."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import click

from adapter.files import STREAM, read_bytes, write_all
from mappings import Issue, MappingError, load_case

_output = click.option("-o", "--output", default=STREAM, metavar="FILE", help="Write to FILE, not to standard output.")


def _refusing() -> AbstractContextManager[None]:
    """The one way out of a command that cannot do its work; it belongs to the command line, which imports this."""
    from adapter import cli

    return cli._refusing()


@click.command("dictionary", short_help="Every field: meaning, type, unit, codes, FHIR.")
@click.option("--format", "shape", type=click.Choice(["md", "csv", "html"]), default="md", show_default=True)
@_output
def dictionary_command(shape: str, output: str) -> None:
    """Write the data dictionary of the case document.

    Each field with its definition, type, units, words and the codes behind them, cardinality and
    place in FHIR. It is made from the mapping itself, so it cannot be out of date.
    """
    from adapter.dictionary import FORMATS, dictionary

    with _refusing():
        write_all([(output, FORMATS[shape](dictionary()).encode())])


@click.command("gaps", short_help="What a case does not hold, and why.")
@click.argument("case")
@click.option("--format", "shape", type=click.Choice(["text", "json"]), default="text", show_default=True)
@_output
def gaps_command(case: str, shape: str, output: str) -> None:
    """List what the case document CASE does not hold.

    What is absent, with the reason and the words that the case gives for it; which items and
    elements are inferred, derived, read off a figure, or not stated; which items name no source.
    """
    from adapter.gaps import FORMATS, gaps

    with _refusing():
        write_all([(output, FORMATS[shape](gaps(load_case(read_bytes(case)))).encode())])


@click.command("flat", short_help="Case -> CSV tables.")
@click.argument("case")
@click.option("-o", "--output", metavar="DIR", required=True, help="The folder to write the tables to.")
def flat_command(case: str, output: str) -> None:
    """Write the case document CASE as CSV tables (UTF-8, RFC 4180, with a header) into DIR.

    administrations.csv has a row a cycle or administration, measurements.csv a row a measured value
    (tests and free light chains too), clones.csv a row a monoclonal protein, responses.csv a row a
    response. What others reported about their patients is left out. Numbers keep their digits. A
    text that begins with = + - @ gets an apostrophe in front, so that no spreadsheet runs it.
    """
    from adapter.flat import flat

    with _refusing():
        tables = flat(load_case(read_bytes(case)))
        folder = _folder(output)
        write_all([(str(folder / f"{name}.csv"), text.encode()) for name, text in tables.items()])
        click.echo(f"{len(tables)} tables written to {output}", err=True)


def _folder(path: str) -> Path:
    """The folder, made if it is not there; raises `MappingError` (not-writable)."""
    folder = Path(path)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise MappingError(Issue("not-writable", f"{error.strerror}.", path=path)) from None
    return folder


def add_to(group: click.Group) -> None:
    """Make the listings commands of the command line."""
    for command in (dictionary_command, gaps_command, flat_command):
        group.add_command(command)
