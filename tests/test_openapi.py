"""The OpenAPI description is true: generated requests, good and bad, get answers that it describes."""

from __future__ import annotations

import os

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.config import SchemathesisConfig

from adapter.service import create_app
from adapter.service.answers import STATUS
from adapter.service.openapi import description
from mappings import encode

pytestmark = pytest.mark.xdist_group("openapi")
schemathesis.serializer.alias("application/fhir+ndjson", "text/plain")
#: What a request that fits its schema may get. 400 and 422: the schema of a case or of a resource cannot say the
#: rules between its fields, nor which parameters go together, nor that lines are JSON. 406: a report is FHIR, and a
#: case is not. 413: a generated body may be over a limit.
ACCEPTED = ["2xx", "400", "404", "406", "413", "422"]
CHECKS = {"positive_data_acceptance": {"expected-statuses": ACCEPTED}}
#: Each value of the case's schema at its limits would be 52,000 requests, and each case takes a third of a second.
CASES = {"include-operation-id": "to-fhir", "phases": {"coverage": {"enabled": False}}}
CONFIG = SchemathesisConfig.from_dict({"checks": CHECKS, "operations": [CASES]})
schema = schemathesis.openapi.from_wsgi("/openapi.json", create_app(), config=CONFIG)
#: How many requests of each kind: `FHIR_ADAPTER_REQUESTS` in all, if said (`make fuzz`).
IN_ALL = int(os.environ.get("FHIR_ADAPTER_REQUESTS", "0"))
LOOSE = settings(suppress_health_check=list(HealthCheck), deadline=None, derandomize=True)


@schema.exclude(lambda at: at.operation.path != "/fhir/$to-fhir").parametrize()
@settings(LOOSE, max_examples=IN_ALL // 4 or 12)
def test_cases_get_what_is_described(case: Case) -> None:
    """Every check of schemathesis: statuses, types, headers, bodies, what is refused and what is not."""
    case.call_and_validate(headers={"Accept-Encoding": "identity"})


@schema.exclude(operation_id="to-fhir").parametrize()
@settings(LOOSE, max_examples=IN_ALL // 8 or 30)
def test_all_else_gets_what_is_described(case: Case) -> None:
    """The same for each other path."""
    case.call_and_validate(headers={"Accept-Encoding": "identity"})


def test_the_examples_are_real() -> None:
    """Every example of a request is converted, and gives the example of its answer."""
    client, paths = create_app().test_client(), description()["paths"]
    for name in ("to-fhir", "to-case"):
        told = paths[f"/fhir/${name}"]["post"]
        for kind, content in told["requestBody"]["content"].items():
            if "example" in content:
                answer = client.post(f"/fhir/${name}", data=encode(content["example"]), content_type=kind)
                given = told["responses"]["200"]["content"][answer.mimetype]["example"]
                assert (answer.status_code, answer.data) == (200, encode(given))


def test_every_status_is_described() -> None:
    """Whatever an operation can be answered with is in the description, with the codes that lead to it."""
    spec = description()
    told = spec["paths"]["/fhir/$to-fhir"]["post"]["responses"]
    assert {int(status) for status in told} == {200, 204, 422, *STATUS.values()} - {404, 405}
    for code, status in STATUS.items():
        if status != 405:
            assert code in spec["components"]["responses"][str(status)]["description"]
