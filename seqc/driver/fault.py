"""What can go wrong around the compiler, apart from mistakes in a program: tool chain, disk, command line.

`ToolFault` ends a command with exit code 2, `UserFault` with 1. Both hold a `Diagnostic` without a place, so that
they are drawn and printed as JSON like every other message.
"""

from __future__ import annotations

from seqc.source.diagnostic import Diagnostic


class Fault(Exception):
    """A failure with a sentence for the person at the keyboard: title, reason (a line each), remedy."""

    exit_code = 1

    def __init__(self, code: str, title: str, reason: str = "", remedy: str | None = None) -> None:
        super().__init__(title)
        self.diagnostic = Diagnostic(code, title, notes=tuple(reason.splitlines()), hint=remedy)


class UserFault(Fault):
    """The person asked for something that cannot be done; exit code 1."""


class ToolFault(Fault):
    """The tool chain or the machine failed; exit code 2."""

    exit_code = 2
