"""The published conformance resources, derived from the tables: ``python -m adapter.artifacts`` writes them."""
