"""Two-way mapping of a scleromyxedema case to FHIR R4: pure, without I/O, clock or network.

    >>> from pathlib import Path
    >>> from mappings import from_fhir, load_case, to_fhir
    >>> case = load_case(Path("examples/published-case/case.json").read_bytes())
    >>> from_fhir(to_fhir(case))[0] == case
    True

| to | call | gives |
|---|---|---|
| read a case document | `load_case` | `Case`, a tree of frozen dataclasses (`mappings.concepts`, `mappings.values`) |
| write one | `dump_case`, then `encode` | plain JSON values, then UTF-8 bytes |
| make FHIR of it | `to_fhir` | a Bundle as plain JSON values |
| read FHIR | `from_fhir` | the `Case`, and a `Report` on every leaf of the document |
| write onto what was received | `to_fhir` with ``onto=`` | that document, with only the case's facts changed |
| read and write JSON with every digit | `decode`, `encode` | plain JSON values; bytes |
| describe the case document | `case_json_schema` | JSON Schema 2020-12 |

Plain JSON values are `dict`, `list`, `str`, `int`, `Decimal`, `bool` and `None`; a `float` is refused,
since it has lost its digits. Quantities name their unit in UCUM, times are text of the precision they
came with. Whatever is refused raises `MappingError`, whose ``issues`` list everything that is wrong,
each with its place, what was expected and what to do, and none with a patient value.
"""

from mappings.bundle import to_fhir
from mappings.case import Case
from mappings.generated import VERSION as __version__
from mappings.reading import from_fhir
from mappings.report import Issue, MappingError, Report
from mappings.schema import case_json_schema, dump_case, load_case
from mappings.wire import decode, encode

__all__ = [
    "Case",
    "Issue",
    "MappingError",
    "Report",
    "__version__",
    "case_json_schema",
    "decode",
    "dump_case",
    "encode",
    "from_fhir",
    "load_case",
    "to_fhir",
]
