"""Convert one case: ``python send.py CASE.json BUNDLE.json``, with nothing but requests.

408, 429, 5xx and no connection are tried again, as Retry-After asks; any other refusal is final.
``ADAPTER`` is the endpoint, ``ADAPTER_KEY`` the API key. Exit status: 0 converted, 1 refused, 2 no answer.
"""

from __future__ import annotations

import os
import random
import sys
import time
from pathlib import Path

import requests

ADAPTER = os.environ.get("ADAPTER", "http://127.0.0.1:8080")
KEY = os.environ.get("ADAPTER_KEY")
ATTEMPTS = 8
AGAIN = {408, 429, 500, 502, 503, 504}


def convert(case: bytes, session: requests.Session) -> requests.Response:
    """The answer to a case: a Bundle, or the refusal that stands. Raises `requests.ConnectionError`."""
    headers = {"Content-Type": "application/json; charset=utf-8"} | ({"Authorization": f"Bearer {KEY}"} if KEY else {})
    for attempt in range(1, ATTEMPTS + 1):
        try:
            answer = session.post(f"{ADAPTER}/fhir/$to-fhir", data=case, headers=headers, timeout=(5, 60))
        except (requests.ConnectionError, requests.Timeout):
            if attempt == ATTEMPTS:
                raise
            time.sleep(_pause(attempt, None))
            continue
        if answer.status_code not in AGAIN or attempt == ATTEMPTS:
            return answer
        time.sleep(_pause(attempt, answer.headers.get("Retry-After")))
    raise AssertionError


def _pause(attempt: int, asked: str | None) -> float:
    """Seconds: what the endpoint asks for, else doubled each time, with jitter so that senders do not come together."""
    return float(asked) if asked and asked.isdecimal() else min(60.0, 2.0**attempt) * random.uniform(0.5, 1.0)


def main(case: str, bundle: str) -> int:
    """Send the file; write the Bundle, or the OperationOutcome beside it."""
    with requests.Session() as session:
        try:
            answer = convert(Path(case).read_bytes(), session)
        except (requests.ConnectionError, requests.Timeout):
            print(f"{ADAPTER} does not answer; nothing is lost, send again later", file=sys.stderr)
            return 2
    if answer.ok:
        Path(bundle).write_bytes(answer.content)
        return 0
    Path(f"{bundle}.outcome.json").write_bytes(answer.content)
    print(f"refused with {answer.status_code}, see {bundle}.outcome.json", file=sys.stderr)
    return 2 if answer.status_code in AGAIN else 1


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
