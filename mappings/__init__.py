"""Two-way mapping of a scleromyxedema case to FHIR R4: pure, without I/O, clock or network.

>>> from mappings import load_case, to_fhir, from_fhir
>>> case = load_case(open("examples/published-case/case.json", "rb").read())
>>> from_fhir(to_fhir(case))[0] == case
True
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
