"""A real HAPI FHIR server (`make hapi`): what was sent comes back as the same case, to the last digit.

Not part of `make test`: Maven Central has no ready server, so one is put together of about 350 jars.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from adapter.client import Server
from adapter.fetching import fetch, patient_id
from adapter.sending import Delivery, send
from mappings import Case, dump_case, from_fhir, load_case

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
BUILT = HERE.parents[1] / "build" / "hapi"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base address of a running server with an empty store; Maven is first asked to work offline."""
    for mode in (["--offline"], []):
        done = subprocess.run(["mvn", "--quiet", "--batch-mode", *mode, "compile"], cwd=HERE, check=False)
        if done.returncode == 0:
            break
    assert done.returncode == 0
    path = f"{BUILT / 'classes'}:{(BUILT / 'classpath').read_text()}"
    log = tmp_path_factory.mktemp("hapi") / "log"
    with (
        log.open("wb") as out,
        subprocess.Popen(
            ["java", "-Xmx1500m", "-XX:TieredStopAtLevel=1", "-cp", path, "Hapi"], stdout=out, stderr=out
        ) as java,
    ):
        try:
            until = time.monotonic() + 600
            while not (found := re.search(r"^http://\S+$", log.read_text(), re.MULTILINE)):
                assert java.poll() is None, log.read_text()[-3000:]
                assert time.monotonic() < until, log.read_text()[-3000:]
                time.sleep(0.5)
            yield found[0]
        finally:
            java.kill()


def sent(base: str, case: Case, mode: str | None) -> Delivery:
    delivery = send(Server(base), case, mode=mode, announce=print)
    print(delivery.as_text(), *(issue.line() for issue in delivery.issues), sep="\n")
    return delivery


@pytest.mark.parametrize(
    ("name", "mode"),
    [("minimal", "put"), ("synthetic-course", "put"), ("synthetic-course", None), ("published-case", None)],
)
def test_there_and_back(base: str, name: str, mode: str | None) -> None:
    """Send, send again, correct, fetch, compare; without --mode it updates by identifier, as HAPI states."""
    case = load_case((EXAMPLES / name / "case.json").read_bytes())
    case = replace(case, case_id=f"{name}-{mode}", literature=None)
    first = sent(base, case, mode)
    assert (first.whole, first.mode) == (True, mode or "conditional-update")
    assert first.counts.keys() <= {"created", "unchanged"}  # the adapter's own Device is there from the case before
    assert not [issue for issue in first.issues if issue.code == "stored-differently"]
    assert sent(base, case, mode).counts == {"unchanged": len(first.entries)}
    corrected = replace(case, patient=replace(case.patient, sex="unknown"))
    assert sent(base, corrected, mode).counts == {"updated": 1, "unchanged": len(first.entries) - 1}
    server = Server(base)
    bundle = fetch(server, patient_id(server, None, f"{case.case_system}|{case.case_id}/patient"))
    back, _ = from_fhir(bundle)
    assert dump_case(back) == dump_case(corrected)
    assert back == corrected
