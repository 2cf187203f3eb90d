"""FHIR R4 4.0.1, exactly: the official rules as a table, and the checker that runs them."""

from __future__ import annotations

from adapter.r4.checker import check

__all__ = ["check"]
