"""``fhir-adapter serve`` and ``fhir-adapter keys``: the endpoint, and who may call it."""

from __future__ import annotations

import os
import shutil
import tempfile
from importlib.util import find_spec

import click

from adapter.cli.messages import ending, refusing
from adapter.files import STREAM, write_all
from adapter.keys import new_key
from adapter.settings import PREFIX, load

_NEEDED = ("gunicorn", "jwt", "prometheus_client", "structlog")


@click.command(short_help="The HTTP endpoint.")
@click.option("--config", metavar="FILE", envvar=f"{PREFIX}CONFIG", help="Settings as TOML; the environment wins.")
@click.option("--insecure", is_flag=True, help="Ask nobody for credentials, even where others reach the address.")
@click.option("--print-config", is_flag=True, help="Show the settings as TOML and end.")
def serve(config: str | None, insecure: bool, print_config: bool) -> None:
    """Serve the HTTP endpoint on 127.0.0.1:8080 until SIGTERM.

    Each setting NAME is FHIR_ADAPTER_NAME in the environment, or NAME in a TOML file. Whatever is
    wrong or unsafe is listed on standard error, all of it at once, and nothing is served. Logs are
    JSON lines on standard error.
    """
    with refusing():
        settings = load(os.environ, config, **({"insecure": True} if insecure else {}))
    if print_config:
        click.echo(settings.as_toml(), nl=False)
        return
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise click.ClickException(
            f"{', '.join(missing)} missing; install the extra: pip install 'scleromyxedema-fhir-adapter[server]'"
        )
    with ending(SystemExit(0)):  # until gunicorn, once it runs, does it its own way
        folder, owner = tempfile.mkdtemp(prefix="fhir-adapter-"), os.getpid()  # of this user alone
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        try:
            from adapter.serve import Server

            Server(settings).run()
        finally:
            if os.getpid() == owner:  # the workers, forked from here, leave by here too
                shutil.rmtree(folder, ignore_errors=True)


@click.group(short_help="API keys.")
def keys() -> None:
    """Make API keys. The file of keys (setting keys_file) holds hashes only."""


@keys.command(short_help="A new key.")
@click.option("--name", required=True, help="Whose key it is; it stands in the log.")
def new(name: str) -> None:
    """Make a key: its line for the key file on standard output, the key itself, once, on standard error.

    \b
      fhir-adapter keys new --name lab >> keys; chmod 600 keys

    Two keys of a name may stand in the file: add the new one, move the callers to it, remove the
    old one. The file is read again when it changes.
    """
    with refusing():
        key, line = new_key(name)
        write_all([(STREAM, line.encode() + b"\n")])
    click.echo(f"The key of {name}, shown only now:\n{key}", err=True)
