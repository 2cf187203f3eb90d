"""The cost of a resource beside python-fhir-converter and ccda-to-fhir, each round theirs and ours in turn.

Both are installed from PyPI into an environment of their own; the C-CDA documents are those that the source
archive of ccda-to-fhir ships for its own tests (python-fhir-converter ships none). Theirs reads XML text and
makes a Bundle; ours is told twice: mapping alone, and text to text.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import time
import venv
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from adapter.memory import settle
from mappings import encode, load_case, to_fhir
from tests.bench.table import ROUNDS, Row
from tests.goldens import case_bytes

HOME = Path("build/converters")
PYTHON = HOME / "venv" / "bin" / "python"
SAMPLES = HOME / "samples"
CONVERTERS = ("python-fhir-converter", "ccda-to-fhir")
PINNED = ("python-fhir-converter==0.3.0", "ccda-to-fhir==0.3")
#: The goal for mapping alone, and beside which.
GOALS = {"python-fhir-converter": 0.02}


def rows() -> list[Row]:
    """Our cost of a resource as a part of theirs."""
    try:
        _install()
    except (OSError, subprocess.CalledProcessError) as error:
        why = f"not installed, is PyPI reachable? ({type(error).__name__})"
        return [Row(f"to_fhir a resource / {name} a resource", None, GOALS.get(name), note=why) for name in CONVERTERS]
    return _compared()


def _install() -> None:
    """The environment and the samples, once."""
    ready = HOME / ".ready"
    if ready.exists():
        return
    venv.create(HOME / "venv", with_pip=True, clear=True)
    pip = [PYTHON, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", *PINNED], check=True, stdout=sys.stderr)
    source = ["download", "--no-deps", "--no-binary", ":all:", "--dest", str(HOME), PINNED[1]]
    subprocess.run([*pip, *source], check=True, stdout=sys.stderr)
    SAMPLES.mkdir(exist_ok=True)
    with tarfile.open(next(HOME.glob("ccda_to_fhir-*.tar.gz"))) as archive:
        for member in archive.getmembers():
            if "/fixtures/documents/" in member.name and member.name.endswith(".xml"):
                content = archive.extractfile(member)
                assert content is not None
                (SAMPLES / Path(member.name).name).write_bytes(content.read())
    ready.touch()


def _compared() -> list[Row]:
    raw = case_bytes("published-case")
    case = load_case(raw)
    count = len(to_fhir(case)["entry"])
    ours = {"to_fhir": lambda: to_fhir(case), "case text to Bundle text": lambda: encode(to_fhir(load_case(raw)))}
    command = [PYTHON, Path(__file__).with_name("_converters.py"), SAMPLES]
    cost: dict[str, list[float]] = {name: [] for name in (*ours, *CONVERTERS)}
    settle()
    with subprocess.Popen(command, stdin=-1, stdout=-1, stderr=subprocess.DEVNULL, text=True) as child:
        for turn in range(ROUNDS + 1):
            answers = {name: _ask(child, name) for name in CONVERTERS}
            found = {name: answer["seconds"] / answer["resources"] for name, answer in answers.items()}
            least = min(answer["seconds"] for answer in answers.values())  # a processor that slept is slow at first
            found |= {name: _seconds(task, least) / count for name, task in ours.items()}
            for name, seconds in found.items() if turn else ():
                cost[name].append(seconds)
        assert child.stdin is not None
        child.stdin.close()
    took = {name: median(times) for name, times in cost.items()}
    return [
        Row(
            f"{mine} a resource / {name} a resource",
            took[mine] / took[name],
            GOALS.get(name) if mine == "to_fhir" else None,
            note=f"{took[mine] * 1e6:.0f} / {took[name] * 1e6:.0f} us, {answers[name]['resources']} resources"
            f" of {answers[name]['samples']} documents",
        )
        for mine in ours
        for name in CONVERTERS
    ]


def _seconds(task: Callable[[], Any], least: float) -> float:
    """Seconds of one call, of calls that take so long together; the first is untimed, as theirs."""
    task()
    start, calls = time.process_time(), 0
    while (took := time.process_time() - start) < least:
        task()
        calls += 1
    return took / calls


def _ask(child: subprocess.Popen[str], name: str) -> dict[str, Any]:
    """One round of a converter."""
    assert child.stdin is not None
    assert child.stdout is not None
    print(name, file=child.stdin, flush=True)
    answer: dict[str, Any] = json.loads(child.stdout.readline())
    return answer
