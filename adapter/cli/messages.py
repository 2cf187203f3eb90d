"""What a command has to say: issues on standard error, and the exit status that goes with them."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import click

from adapter.bugs import bug
from mappings import Issue, MappingError, Report, encode
from mappings.report import outcome

_ENDING = (signal.SIGTERM, signal.SIGHUP)
UNHARMED = "Report this line; nothing was written, and the input is unharmed."


@contextmanager
def refusing(messages: str = "text", remedy: str = UNHARMED) -> Iterator[None]:
    """The one way out of a command that cannot do its work: the issues on standard error, exit status 1 or 2.

    ``remedy`` is what to do about a bug of ours.
    """
    try:
        yield
    except MappingError as error:
        issues: Sequence[Issue] = error.issues
    except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
        raise
    except Exception as error:
        issues = [bug(error, remedy)]
    else:
        return
    tell(issues, messages)
    raise click.exceptions.Exit(2 if all(issue.code == "bad-option" for issue in issues) else 1)


@contextmanager
def ending(end: BaseException) -> Iterator[None]:
    """SIGTERM and SIGHUP raise ``end``, so that what is open is put away; not one that is ignored, as nohup has it."""

    def handle(sig: int, frame: FrameType | None) -> None:
        raise end

    taken = [sig for sig in _ENDING if signal.getsignal(sig) is signal.SIG_DFL]
    for sig in taken:
        signal.signal(sig, handle)
    try:
        yield
    finally:
        for sig in taken:
            signal.signal(sig, signal.SIG_DFL)


def watched() -> bool:
    """Whether somebody looks at standard error."""
    return sys.stderr is not None and sys.stderr.isatty()


def tell(issues: Sequence[Issue], messages: str, summary: str = "") -> None:
    """The issues on standard error; a summary line only where people read it."""
    if messages == "json":
        click.echo(encode(outcome(issues), pretty=True).decode(), err=True, nl=False)
        return
    for issue in issues:
        click.echo(issue.line(), err=True)
    if summary:
        click.echo(summary, err=True)


def conversion(report: Report, messages: str, summary: str) -> None:
    """What a finished conversion has to say: all of it as JSON; as text the warnings and errors, the notes counted."""
    if messages == "json":
        return tell(report.issues, messages)
    loud = [issue for issue in report.issues if issue.level != "information"]
    notes = sum(issue.level == "information" and issue.disposition != "generated" for issue in report.issues)
    return tell(loud, messages, summary + (f"; {notes} notes (--format json shows them)" if notes else ""))
