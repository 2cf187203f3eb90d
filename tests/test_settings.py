"""The settings of the endpoint: where they come from, what is refused, and that all of it is told at once."""

from __future__ import annotations

import json
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from adapter.cli import main
from adapter.keys import new_key
from adapter.settings import Settings, load, table
from mappings import MappingError

TOKENS = {"jwt_issuer": "https://issuer.example", "jwt_audience": "adapter", "jwt_jwks": "https://issuer.example/keys"}


def refused(settings: dict[str, Any], **flags: Any) -> list[str]:
    """What is wrong with these settings as environment variables: the names, in order."""
    with pytest.raises(MappingError) as error:
        load({f"FHIR_ADAPTER_{name.upper()}": str(value) for name, value in settings.items()}, **flags)
    assert all(issue.code == "bad-option" or issue.path == "keys_file" for issue in error.value.issues)
    assert all(issue.expected and issue.what_to_do for issue in error.value.issues if issue.code == "bad-option")
    return [issue.path for issue in error.value.issues]


def test_the_environment_wins_over_the_file_and_the_command_line_over_both(tmp_path: Path) -> None:
    """Each name once in each place; what is not said is the default."""
    file = tmp_path / "settings.toml"
    file.write_text('host = "::1"\nqueue = 3\nworkers = 4\nhosts = ["a.example", "b.example"]\n')
    found = load({"FHIR_ADAPTER_QUEUE": "5", "FHIR_ADAPTER_CONFIG": "ignored", "PATH": "/"}, str(file), workers=6)
    assert (found.host, found.queue, found.workers, found.port) == ("::1", 5, 6, 8080)
    assert found.hosts == ("a.example", "b.example")
    assert load({"FHIR_ADAPTER_HOSTS": "a.example, b.example"}).hosts == found.hosts


def test_print_config_can_be_read_again(tmp_path: Path) -> None:
    """What is printed is a settings file that means the same."""
    environ = {"FHIR_ADAPTER_SECONDS": "2.5", "FHIR_ADAPTER_JWT_SCOPE": ""}
    shown = CliRunner(env=environ).invoke(main, ["serve", "--print-config"])
    assert shown.exit_code == 0
    (tmp_path / "settings.toml").write_text(shown.output)
    assert load({}, str(tmp_path / "settings.toml")) == load(environ)
    assert tomllib.loads(shown.output)["seconds"] == 2.5


def test_print_config_shows_no_key(tmp_path: Path) -> None:
    """The settings name the file of keys; neither a key nor a hash is in them."""
    key, line = new_key("lab")
    file = tmp_path / "keys"
    file.write_text(line)
    file.chmod(0o600)
    shown = CliRunner(env={"FHIR_ADAPTER_KEYS_FILE": str(file)}).invoke(main, ["serve", "--print-config"])
    assert (shown.exit_code, key in shown.output, line.split()[1] in shown.output) == (0, False, False)


TYPES = [
    ({"port": "tcp://10.0.0.1:80"}, "FHIR_ADAPTER_PORT"),
    ({"port": "8080.5"}, "FHIR_ADAPTER_PORT"),
    ({"port": "65536"}, "port"),
    ({"queue": "0"}, "FHIR_ADAPTER_QUEUE"),
    ({"queue": "true"}, "FHIR_ADAPTER_QUEUE"),
    ({"workers": "-1"}, "FHIR_ADAPTER_WORKERS"),
    ({"seconds": "nan"}, "FHIR_ADAPTER_SECONDS"),
    ({"seconds": "inf"}, "FHIR_ADAPTER_SECONDS"),
    ({"insecure": "yes"}, "FHIR_ADAPTER_INSECURE"),
    ({"hosts": ""}, "FHIR_ADAPTER_HOSTS"),
    ({"qeue": "1"}, "FHIR_ADAPTER_QEUE"),
]
UNSAFE = [
    ({"host": "0.0.0.0"}, "host"),
    ({"host": "::"}, "host"),
    ({"host": "192.0.2.1"}, "host"),
    ({"host": "adapter.example"}, "host"),
    ({"hosts": "*"}, "hosts"),
    ({"hosts": "adapter.example:8080"}, "hosts"),
    ({"hosts": "https://adapter.example"}, "hosts"),
    ({"max_unpacked": "5"}, "max_unpacked"),
    ({"drain": "25"}, "drain"),
    ({"keys_file": "/nowhere/keys"}, "keys_file"),
    ({"insecure": "true", **TOKENS}, "insecure"),
    ({**TOKENS, "jwt_audience": ""}, "jwt_audience"),
    ({**TOKENS, "jwt_issuer": ""}, "jwt_issuer"),
    ({**TOKENS, "jwt_algorithms": "none"}, "jwt_algorithms"),
    ({**TOKENS, "jwt_algorithms": "RS256,HS256"}, "jwt_algorithms"),
    ({**TOKENS, "jwt_jwks": "http://issuer.example/keys"}, "jwt_jwks"),
    ({**TOKENS, "jwt_jwks": "file:///etc/keys"}, "jwt_jwks"),
    ({**TOKENS, "jwt_jwks": "https://[::1"}, "jwt_jwks"),
    ({**TOKENS, "jwt_jwks": "https://user:secret@issuer.example/keys"}, "jwt_jwks"),
]


@pytest.mark.parametrize(("settings", "name"), TYPES + UNSAFE, ids=str)
def test_what_is_wrong_or_unsafe_is_refused_by_name(settings: dict[str, str], name: str) -> None:
    """One problem, one issue: the setting, what was expected, what to do."""
    assert refused(settings) == [name]


def test_a_secret_in_a_url_is_refused_without_being_shown() -> None:
    """The refusal does not repeat what should not stand there."""
    with pytest.raises(MappingError) as error:
        load({f"FHIR_ADAPTER_{k.upper()}": v for k, v in {**TOKENS, "jwt_jwks": "https://u:geheim@a.example"}.items()})
    assert "geheim" not in str(error.value)


@pytest.mark.parametrize(
    "settings", [{}, {"host": "::1"}, {"host": "127.0.0.9"}, {"host": "0.0.0.0", **TOKENS}], ids=str
)
def test_what_is_safe_starts(settings: dict[str, str]) -> None:
    """Loopback without credentials, any address with them, or without them where that is said."""
    load({f"FHIR_ADAPTER_{name.upper()}": value for name, value in settings.items()})
    load({"FHIR_ADAPTER_HOST": "0.0.0.0"}, insecure=True)


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    """A wrong type, a wrong name and an unsafe combination in one go, and exit status 2."""
    environ = {"FHIR_ADAPTER_PORT": "x", "FHIR_ADAPTER_NOPE": "1", "FHIR_ADAPTER_HOST": "0.0.0.0"}
    shown = CliRunner(env=environ).invoke(main, ["serve"])
    assert shown.exit_code == 2
    assert [line.split(": ")[1] for line in shown.stderr.splitlines()] == [
        "FHIR_ADAPTER_NOPE", "FHIR_ADAPTER_PORT", "host"
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["port = 'x", 'port = "8080"', "unknown = 1", "hosts = 'a'", "host = 1", "\xff"])
def test_a_settings_file_is_read_strictly(tmp_path: Path, text: str) -> None:
    """No TOML, another type, another name, another encoding."""
    file = tmp_path / "settings.toml"
    file.write_text(text, encoding="latin-1")
    with pytest.raises(MappingError) as error:
        load({}, str(file))
    assert len(error.value.issues) == 1


MODES = [(0o600, True), (0o640, True), (0o400, True), (0o644, False), (0o660, False), (0o604, False)]


@pytest.mark.parametrize(("mode", "fine"), MODES, ids=[oct(mode) for mode, _ in MODES])
def test_a_key_file_that_others_reach_is_refused(tmp_path: Path, mode: int, fine: bool) -> None:
    """The owner writes it; a group may read it, so that the service need not own it."""
    file = tmp_path / "keys"
    file.write_text(new_key("lab")[1])
    file.chmod(mode)
    if fine:
        assert load({"FHIR_ADAPTER_KEYS_FILE": str(file), "FHIR_ADAPTER_HOST": "0.0.0.0"}).credentials
    else:
        assert refused({"keys_file": file}) == ["keys_file"]


def test_a_key_file_is_refused_line_by_line(tmp_path: Path) -> None:
    """A line that is no key, a third key of a name, no key at all."""
    file = tmp_path / "keys"
    file.touch(0o600)
    assert refused({"keys_file": file}) == ["keys_file"]
    file.write_text("\n".join(["# ours", *(new_key("lab")[1] for _ in range(3)), "lab 123", new_key("ward")[1]]))
    assert refused({"keys_file": file}) == ["keys_file"] * 2


def test_the_table_of_settings_is_complete() -> None:
    """Every setting with its default and what it is; the README holds it."""
    rows = [line.split("`") for line in table().splitlines()[2:]]
    assert {row[1]: tomllib.loads(f"x = {row[3]}")["x"] for row in rows} == json.loads(json.dumps(asdict(Settings())))
