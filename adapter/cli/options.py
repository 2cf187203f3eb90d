"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import click

from adapter.files import STREAM, place, shown
from adapter.verify import LEVELS
from mappings.bundle import MODES, TYPES
from mappings.values import INSTANT

Command = Callable[..., Any]

output = click.option("-o", "--output", default=STREAM, metavar="FILE", help="Write to FILE, not to standard output.")
messages = click.option(
    "--format",
    "messages",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How messages on standard error look: a line each, or one FHIR OperationOutcome.",
)
verify = click.option(
    "--verify",
    type=click.Choice(LEVELS),
    default="all",
    show_default=True,
    help="Hold against FHIR R4 what is written and received, what is received only, or nothing.",
)
strict = click.option("--strict", is_flag=True, help="Refuse a Bundle of which anything is not mapped.")


def _instant(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    if value is not None and not INSTANT.ok(value):
        raise click.BadParameter(f"Expected: {INSTANT.meaning}.")
    return value


def bundle(command: Command) -> Command:
    """The options about the Bundle that is written."""
    for option in (
        click.option("--no-literature", is_flag=True, help="Leave out the reports by others."),
        click.option("--optional-codes", is_flag=True, help="Add SNOMED CT codes that need a licence."),
        click.option(
            "--now",
            metavar="INSTANT",
            callback=_instant,
            help="The time of making, such as 2024-07-15T10:00:00+02:00, if the case has none.",
        ),
        click.option(
            "--mode",
            type=click.Choice(MODES),
            help="How a transaction writes: by id, or by identifier.  [default: put]",
        ),
        click.option(
            "--type", "bundle_type", type=click.Choice(TYPES), help="The kind of Bundle.  [default: collection]"
        ),
    ):
        command = option(command)
    return command


def separate(results: Sequence[str | None], inputs: Sequence[str | None] = ()) -> None:
    """Refuse a result whose place is another's, or an input's: one of the two would be lost."""
    wanted = [found for path in results if path is not None and (found := place(path))]
    taken = {os.path.realpath(path) for path in inputs if path not in (None, STREAM)}
    if twice := [path for path in wanted if path in taken or wanted.count(path) > 1]:
        raise click.UsageError(f"A result needs a place of its own; this one is named twice: {shown(twice[0])}.")


def given(options: dict[str, Any]) -> dict[str, Any]:
    """The options of `bundle` as arguments of `mappings.to_fhir`; one that would do nothing is refused."""
    if options["mode"] is not None and options["bundle_type"] != "transaction":
        raise click.UsageError("--mode needs --type transaction.")
    named = {name: value for name, value in options.items() if value is not None and name != "no_literature"}
    return {**named, "literature": not options["no_literature"]}
