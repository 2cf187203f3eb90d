"""The JavaScript of the Mirth and Node-RED recipes, in Rhino, with what those engines give it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mappings import Issue
from mappings.report import outcome
from tests.engines.conftest import built
from tests.engines.stage import ROOT

Json = Any
RHINO = Path(__file__).parent / "rhino"
ENGINES = ROOT / "examples" / "engines"
TRANSFORMER = (ENGINES / "mirth" / "response-transformer.js").read_text(encoding="utf-8")
FLOW = json.loads((ENGINES / "node-red" / "flow.json").read_text(encoding="utf-8"))
REFUSED = json.dumps(outcome([Issue("wrong-type", path="case.patient", pointer="/patient", expected="a JSON object")]))
pytestmark = pytest.mark.xdist_group("rhino")


def rhino(script: str, tmp_path: Path) -> list[Json]:
    """What a script prints: one JSON a line."""
    file = tmp_path / "script.js"
    file.write_text(script, encoding="utf-8")
    command = [
        "java",
        "-Dfile.encoding=UTF-8",
        "-cp",
        f"{built(RHINO)}/lib/*",
        "org.mozilla.javascript.tools.shell.Main",
    ]
    done = subprocess.run([*command, "-version", "180", str(file)], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


# --- Mirth --------------------------------------------------------------------------------------

#: status line, status message, body -> what the message becomes, and its reason
ANSWERS: dict[str, tuple[str | None, str, str, str, str]] = {
    "converted": ("HTTP/1.1 200 OK", "", "{}", "SENT", ""),
    "refused": ("HTTP/1.1 422 UNPROCESSABLE ENTITY", "Received error response", REFUSED, "ERROR",
                "HTTP 422: wrong-type at case.patient"),
    "no JSON": ("HTTP/1.1 400 BAD REQUEST", "Received error response", REFUSED, "ERROR",
                "HTTP 400: wrong-type at case.patient"),
    "too large, says a proxy": ("HTTP/1.1 413 Too Large", "Received error response", "<html>", "ERROR",
                                "HTTP 413: the answer is no OperationOutcome; a proxy may have sent it"),
    "no key": ("HTTP/1.1 401 UNAUTHORIZED", "Received error response", REFUSED, "ERROR",
               "HTTP 401: wrong-type at case.patient"),
    "busy": ("HTTP/1.1 429 TOO MANY REQUESTS", "Received error response", REFUSED, "QUEUED", ""),
    "starting": ("HTTP/1.1 503 SERVICE UNAVAILABLE", "Received error response", REFUSED, "QUEUED", ""),
    "a bug": ("HTTP/1.1 500 INTERNAL SERVER ERROR", "Received error response", REFUSED, "QUEUED", ""),
    "never connected": (None, "Error connecting to HTTP server", "", "QUEUED", ""),
    "lost, after a refusal": ("HTTP/1.1 422 X", "Error connecting to HTTP server", "", "QUEUED", ""),
    "lost, after a success": ("HTTP/1.1 200 OK", "Error connecting to HTTP server", "", "QUEUED", ""),
}  # fmt: skip


def test_mirth_response_transformer(tmp_path: Path) -> None:
    """SENT, QUEUED or ERROR for every answer that there is; the connector map may hold that of an earlier attempt."""
    runs = [
        f"""
        (function () {{
            var SENT = 'SENT', QUEUED = 'QUEUED', ERROR = 'ERROR', responseStatus = QUEUED;
            var responseStatusMessage = {json.dumps(message)}, connectorMap = new java.util.HashMap();
            {f"connectorMap.put('responseStatusLine', {json.dumps(line)});" if line else ""}
            var response = {{getMessage: function () {{ return new java.lang.String({json.dumps(body)}); }}}};
            {TRANSFORMER}
            print(JSON.stringify([responseStatus, responseStatus === ERROR ? responseStatusMessage : '']));
        }})();
        """
        for line, message, body, _, _ in ANSWERS.values()
    ]
    found = dict(zip(ANSWERS, rhino("\n".join(runs), tmp_path), strict=True))
    assert found == {name: [status, reason] for name, (_, _, _, status, reason) in ANSWERS.items()}


# --- Node-RED -----------------------------------------------------------------------------------


def node(name: str) -> Json:
    """One node of the flow."""
    return next(one for one in FLOW if one.get("name") == name)


def called(name: str, env: Json, *messages: Json) -> str:
    """A script that prints what a function node makes of each message."""
    function = f"var node = function (msg) {{ {node(name)['func']} }};"
    env_get = f"var env = {{get: function (name) {{ return ({json.dumps(env)})[name]; }}}};"
    return env_get + function + "".join(f"print(JSON.stringify(node({json.dumps(msg)})));\n" for msg in messages)


def test_node_red_flow_is_whole() -> None:
    """Every wire leads to a node of the flow, and a function has a wire for each of its outputs."""
    ids = {one["id"] for one in FLOW}
    for one in FLOW[1:]:
        assert {target for wires in one["wires"] for target in wires} <= ids
        assert one["z"] == FLOW[0]["id"]
        assert one["type"] != "function" or len(one["wires"]) == one["outputs"]


#: status, attempts before, Retry-After -> which output, delay in milliseconds
DECISIONS = (
    (200, 0, None, 0, None),
    (422, 0, None, 2, None),
    (429, 0, "7", 1, 7000),
    (503, 1, None, 1, 4000),
    (500, 0, None, 1, 2000),
    ("ECONNREFUSED", 0, None, 1, 2000),
    (503, 7, None, 2, None),
)


def test_node_red_functions(tmp_path: Path) -> None:
    """The case is kept for another attempt, the key goes only where there is one; what passes is tried eight times."""
    asked = [
        {"statusCode": status, "attempt": attempt, "payload": "answer", "case": "the case"}
        | {"headers": {"retry-after": after} if after else {}}
        for status, attempt, after, _, _ in DECISIONS
    ]
    env = {"ADAPTER": "http://a.example", "ADAPTER_KEY": "k"}
    first, again, *found = rhino(
        called("prepare", env, {"payload": "the case"})
        + called("prepare", {}, {"payload": "busy", "case": "the case"})
        + called("converted, later, refused", {}, *asked),
        tmp_path,
    )
    assert (first["case"], first["url"]) == ("the case", "http://a.example/fhir/$to-fhir")
    assert first["headers"]["authorization"] == "Bearer k"
    assert (again["payload"], again["url"]) == ("the case", "http://127.0.0.1:8080/fhir/$to-fhir")
    assert "authorization" not in again["headers"]
    for (_, _, _, output, delay), made in zip(DECISIONS, found, strict=True):
        assert [one is not None for one in made] == [place == output for place in range(3)]
        assert made[output].get("delay") == delay
        assert made[output]["payload"] == ("the case" if output == 2 else "answer")
