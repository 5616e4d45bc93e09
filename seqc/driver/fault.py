"""What can go wrong around the compiler, apart from mistakes in a program: the tool chain, the disk, the command line.

`ToolFault` ends a command with exit code 2, `UserFault` with 1; both carry a title, the reason and the remedy.
"""

from __future__ import annotations


class Fault(Exception):
    """A failure with a sentence for the person at the keyboard."""

    exit_code = 1

    def __init__(self, code: str, title: str, reason: str = "", remedy: str = "") -> None:
        super().__init__(title)
        self.code = code
        self.title = title
        self.reason = reason
        self.remedy = remedy

    def render(self) -> str:
        """The message in the form of all messages: title, reason, remedy."""
        lines = [f"error[{self.code}]: {self.title}"]
        lines += [f"   {line}" for part in (self.reason, self.remedy) if part for line in part.splitlines()]
        return "\n".join(lines)


class UserFault(Fault):
    """The person asked for something that cannot be done; exit code 1."""


class ToolFault(Fault):
    """The tool chain or the machine failed; exit code 2."""

    exit_code = 2
