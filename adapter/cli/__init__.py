"""The command line: ``fhir-adapter``, also ``python -m adapter``.

Results go to standard output or to ``-o FILE``, messages to standard error. Exit status: 0 done,
1 refused or failed (each problem is one line, or one OperationOutcome with ``--format json``),
2 the command line itself is wrong. A file is written whole or not at all.
"""

from __future__ import annotations

import click

from adapter.cli import bulk, check, convert, documents, exchange, plot, serve, validate
from mappings import __version__


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


for _command in (
    convert.demo,
    convert.to_fhir_command,
    convert.to_case_command,
    check.check,
    validate.validate,
    bulk.bulk,
    documents.new,
    documents.table,
    documents.schema,
    documents.dictionary_command,
    documents.gaps_command,
    documents.flat_command,
    plot.plot,
    exchange.send_command,
    exchange.fetch_command,
    serve.serve,
    serve.keys,
):
    main.add_command(_command)
