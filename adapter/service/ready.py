"""``GET /readyz``: whether a conversion works here, which is proved once in each process and then known."""

from __future__ import annotations

from functools import cache

from flask import Response

from adapter.r4.ucum import valid
from adapter.service.answers import answer, refusal
from adapter.service.asking import JSON
from adapter.skeleton import skeleton
from adapter.verify import written
from mappings import Issue, dump_case, encode, from_fhir, load_case, to_fhir


def readyz() -> Response:
    """200 once the tables are loaded and a case has been to FHIR and back; 503 until then."""
    try:
        prove()
    except Exception as error:
        return refusal([Issue("unavailable", f"The self-test does not pass ({type(error).__name__}).")])
    return answer({"status": "ready"}, JSON)


@cache
def prove() -> None:
    """Take a small case to FHIR, hold it against R4, and back; raises where that fails, and is then tried again.

    With it all is loaded that is loaded at first use, so that it happens in the master, before the workers fork.
    """
    case = load_case(encode(dump_case(skeleton())))
    bundle = written(to_fhir(case), "all")
    if encode(dump_case(from_fhir(encode(bundle))[0])) != encode(dump_case(case)) or not valid("g.kg-1.d-1"):
        raise ArithmeticError
