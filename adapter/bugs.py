"""A bug of the adapter as an issue: which error, in which line of which module, and never a value."""

from __future__ import annotations

from traceback import walk_tb

from mappings.report import Issue


def bug(error: Exception, remedy: str = "") -> Issue:
    """The issue for an error that nobody expected; its text is left out, it may quote what was being read."""
    frames = [(f.f_globals.get("__name__", ""), line) for f, line in walk_tb(error.__traceback__)]
    ours = [f"{name}:{line}" for name, line in frames if name.partition(".")[0] in ("adapter", "mappings")]
    where = f" in {ours[-1]}" if ours else ""
    return Issue("bug", f"The adapter failed: {type(error).__name__}{where}.", remedy=remedy)
