"""The independent judge: HAPI's validation engine, the HL7 Java validator's own code.

Use it as ``with Judge(directories...) as judge: judge.check(raw)``; :func:`available` says why not.
"""

from .judge import Judge, JudgeError, Message, available, build, write_fragments

__all__ = ["Judge", "JudgeError", "Message", "available", "build", "write_fragments"]
