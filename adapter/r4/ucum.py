"""UCUM codes: the common ones from the core package, all others by ``ucumvert``, imported when first needed."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

from adapter.r4.rules import table

#: Longer codes are refused unread; the longest of the common units has 29 characters.
LONGEST = 80
TIME = re.compile(r"(?:[YZEPTGMkhcdmunpfazy]|da)?s|min|h|d|wk|mo(?:_[sjg])?|a(?:_[tjg])?", re.ASCII)


@cache
def parser() -> Callable[[str], Any]:
    """Make the parser of `ucumvert`."""
    from ucumvert import get_ucum_parser

    parse: Callable[[str], Any] = get_ucum_parser().parse
    return parse


def valid(code: str) -> bool:
    """Say whether a code is UCUM, case-sensitive."""
    return 0 < len(code) <= LONGEST and _valid(code)  # what is kept in memory stays small


@lru_cache(maxsize=4096)
def _valid(code: str) -> bool:
    if code in table().ucum:
        return True
    if not code.isascii() or not code.isprintable() or " " in code:
        return False
    from lark.exceptions import LarkError

    try:
        parser()(code)
    except LarkError:
        return False
    return True


def is_time(code: str) -> bool:
    """Say whether a UCUM code is a unit of time."""
    return TIME.fullmatch(code) is not None
