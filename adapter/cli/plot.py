"""``fhir-adapter plot``: the timeline of a case as a picture."""

from __future__ import annotations

from pathlib import Path

import click

from adapter.cli import options
from adapter.cli.messages import refusing
from adapter.files import STREAM, read_bytes, write_all
from mappings import load_case

INSTALL = "A picture needs matplotlib: pip install 'scleromyxedema-fhir-adapter[plot]'"


@click.command(short_help="The timeline of a case as a picture.")
@click.argument("case")
@click.option(
    "-o", "--output", default=STREAM, metavar="FIG.svg|png", help="Write to a file; its ending says which form."
)
def plot(case: str, output: str) -> None:
    """Draw the course of the case document CASE: therapies, cycles, skin measurements, responses.

    Standard output gets SVG. The axis has calendar dates, or distances from an item that the case
    tells its times against, or, where neither is stated, the order of the lines of therapy, not to
    scale. What is not stated is drawn as such, and without a number.
    """
    ending = "svg" if output == STREAM else Path(output).suffix.lower().removeprefix(".")
    if ending not in ("svg", "png"):
        raise click.BadParameter("The name of the picture ends in .svg or .png.", param_hint="'-o'")
    with refusing():
        options.separate([output], [case])
        try:
            from adapter.plot import figure
        except ModuleNotFoundError as error:
            raise click.ClickException(INSTALL if error.name == "matplotlib" else str(error)) from None
        write_all([(output, figure(load_case(read_bytes(case)), "png" if ending == "png" else "svg"))])
