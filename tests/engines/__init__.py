"""The recipes for integration engines, run against the real endpoint."""
