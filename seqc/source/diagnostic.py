"""Messages to the author of a program: a code, a title, places with a word at each, the reason and the remedy.

A check builds a `Diagnostic` beside itself. `SeqError` carries one or several out of a phase; a `Collector` gathers
the independent ones first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from seqc.source.span import Span


class Severity(Enum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Label:
    """A place and what is to be said there; the text may be empty."""

    span: Span
    text: str = ""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One message. `label` is the main place (None where there is no source, as for a missing compiler).

    `notes` say why, one line each; `hint` says what to do. `code` is `S` and four digits with a page in `explain/`.
    """

    code: str
    title: str
    label: Label | None = None
    others: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    hint: str | None = None
    severity: Severity = Severity.ERROR


class SeqError(Exception):
    """What every room raises for a mistake of the author; never empty."""

    def __init__(self, diagnostics: Diagnostic | Iterable[Diagnostic]) -> None:
        several = (diagnostics,) if isinstance(diagnostics, Diagnostic) else tuple(diagnostics)
        super().__init__("; ".join(f"{each.code}: {each.title}" for each in several))
        self.diagnostics: tuple[Diagnostic, ...] = several


def fail(
    code: str,
    title: str,
    span: Span | None,
    text: str = "",
    *,
    others: tuple[Label, ...] = (),
    notes: tuple[str, ...] = (),
    hint: str | None = None,
) -> SeqError:
    """The error to raise for a single mistake: `raise fail("S0203", "…", span, "at the caret", hint="…")`."""
    label = None if span is None else Label(span, text)
    return SeqError(Diagnostic(code, title, label, others, notes, hint))


class Collector:
    """Gathers the independent mistakes of one phase; `finish` raises them together, in the order of the text."""

    def __init__(self) -> None:
        self._found: list[Diagnostic] = []

    def add(self, problem: Diagnostic | SeqError) -> None:
        """Keeps a message, or all messages of an error; the same one twice is kept once."""
        several = problem.diagnostics if isinstance(problem, SeqError) else (problem,)
        self._found.extend(each for each in several if each not in self._found)

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(each for each in self._found if each.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        return tuple(each for each in self._found if each.severity is Severity.WARNING)

    def finish(self) -> tuple[Diagnostic, ...]:
        """Raises if there is an error (its warnings go with it), else gives the warnings."""
        if self.errors:
            raise SeqError(sorted(self._found, key=_reading_order))
        return tuple(sorted(self._found, key=_reading_order))


def _reading_order(diagnostic: Diagnostic) -> tuple[str, int]:
    if diagnostic.label is None:
        return ("", 0)
    return (diagnostic.label.span.source.name, diagnostic.label.span.start)
