"""The content: one clinical concept a module, dataclass and table together, in the reading order of a case."""
