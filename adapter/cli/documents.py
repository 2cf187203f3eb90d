"""What people and spreadsheets read: mapping table, dictionary, schema, the gaps and tables of a case, a first case."""

from __future__ import annotations

import os
from pathlib import Path

import click

from adapter.cli import options
from adapter.cli.messages import refusing
from adapter.files import read_bytes, write_all
from mappings import Issue, MappingError, case_json_schema, dump_case, encode, load_case


@click.command("dictionary", short_help="Every field: meaning, type, unit, codes, FHIR.")
@click.option("--format", "shape", type=click.Choice(["md", "csv", "html"]), default="md", show_default=True)
@options.output
def dictionary_command(shape: str, output: str) -> None:
    """Write the data dictionary of the case document.

    Each field with its definition, type, units, words and the codes behind them, cardinality and
    place in FHIR. It is made from the mapping itself, so it cannot be out of date.
    """
    from adapter.dictionary import FORMATS, dictionary

    with refusing():
        write_all([(output, FORMATS[shape](dictionary()).encode())])


@click.command("gaps", short_help="What a case does not hold, and why.")
@click.argument("case")
@click.option("--format", "shape", type=click.Choice(["text", "json"]), default="text", show_default=True)
@options.output
def gaps_command(case: str, shape: str, output: str) -> None:
    """List what the case document CASE does not hold.

    What is absent, with the reason and the words that the case gives for it; which items and
    elements are inferred, derived, read off a figure, or not stated; which items name no source.
    """
    from adapter.gaps import FORMATS, gaps

    with refusing():
        options.separate([output], [case])
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

    with refusing():
        tables = flat(load_case(read_bytes(case)))
        folder = _folder(output)
        write_all([(str(folder / f"{name}.csv"), text.encode()) for name, text in tables.items()])
        click.echo(f"{len(tables)} tables written to {output}", err=True)


def _folder(path: str) -> Path:
    """The folder, made if it is not there; raises `MappingError` (not-writable)."""
    try:
        if not os.path.isdir(path):
            os.mkdir(path)
    except OSError as error:
        raise MappingError(Issue("not-writable", f"{error.strerror}.", path=path)) from None
    return Path(path)


@click.command(short_help="Where every field of a case lies in FHIR.")
@click.argument("concept", required=False)
@click.option("--format", "shape", type=click.Choice(["text", "md", "json"]), default="text", show_default=True)
@click.option("--compiled", is_flag=True, help="The Python that the rows are compiled to.")
@options.output
def table(concept: str | None, shape: str, compiled: bool, output: str) -> None:
    """Show the mapping table, all of it or that of one CONCEPT.

    CONCEPT is a concept (Therapy), a section of the case (therapies) or a FHIR type
    (MedicationStatement). The table is made from the mapping itself, so it cannot be out of date.
    """
    from adapter.table_text import FORMATS, about, names

    lines = about(concept)
    if not lines:
        raise click.BadParameter(f"There is none of this name. Concepts: {', '.join(names(about(None)))}.")
    with refusing():
        write_all([(output, FORMATS["python" if compiled else shape](lines).encode())])


@click.command(short_help="The JSON Schema of a case.")
@options.output
def schema(output: str) -> None:
    """Write the JSON Schema (2020-12) of the case document."""
    with refusing():
        write_all([(output, encode(case_json_schema(), pretty=True))])


@click.command(short_help="A case to start from.")
@options.output
def new(output: str) -> None:
    """Write a case to start from, and a guide to it on standard error.

    The case loads and converts as it is; it claims nothing and is labelled as test data. JSON has
    no comments, so they stand in the guide (2> guide.txt keeps it). A FILE that exists is not overwritten.
    """
    from adapter.skeleton import guide, skeleton

    with refusing():
        write_all([(output, encode(dump_case(skeleton()), pretty=True))], overwrite=False)
        click.echo(guide(), err=True)
