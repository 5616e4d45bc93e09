"""What training tells while it runs: records of epochs, and reporters that show them.

A reporter is injected; here are one that prints plain lines and one that says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Record:
    """One epoch: mean loss and metrics of training and of validation."""

    epoch: int
    loss: float
    metrics: dict[str, float] = field(default_factory=dict)
    validation: float | None = None
    validation_metrics: dict[str, float] = field(default_factory=dict)

    def line(self) -> str:
        """The record in words."""
        words = [f"loss {self.loss:.4f}", *(f"{name} {value:.4f}" for name, value in self.metrics.items())]
        if self.validation is not None:
            words.append(f"validation {self.validation:.4f}")
            words += [f"{name} {value:.4f}" for name, value in self.validation_metrics.items()]
        return f"epoch {self.epoch}: " + "  ".join(words)

    def row(self) -> dict[str, Any]:
        """The record as columns of `metrics.csv`."""
        own = ("epoch", "loss", "validation")
        named = {f"metric.{name}" if name in own else name: value for name, value in self.metrics.items()}
        row: dict[str, Any] = {"epoch": self.epoch, "loss": self.loss, **named}
        if self.validation is not None:
            row["validation"] = self.validation
            row |= {f"validation.{name}": value for name, value in self.validation_metrics.items()}
        return row


@dataclass(slots=True)
class History:
    """The whole training: records, the best of them, and why it ended: "done", "patience", "callback", "interrupted"."""

    records: list[Record] = field(default_factory=list)
    best: Record | None = None
    ended: str = "done"

    @property
    def losses(self) -> list[float]:
        return [record.loss for record in self.records]

    @property
    def validations(self) -> list[float]:
        return [record.validation for record in self.records if record.validation is not None]


Picture = Callable[[Sequence[Record], str, Path], object]
"""Draws the curve of a run, with its title, into a file."""


@runtime_checkable
class Reporter(Protocol):
    """What is told to whoever watches."""

    def begin(self, epochs: int, first: int) -> None: ...

    def epoch(self, number: int, batches: int, done: int) -> None:
        """An epoch begins; `done` of its batches were done before an interruption."""

    def batch(self, done: int, loss: float) -> None: ...

    def record(self, record: Record, seconds: float) -> None: ...

    def note(self, text: str) -> None: ...

    def end(self) -> None: ...


class Quiet:
    """Says nothing."""

    def begin(self, epochs: int, first: int) -> None: ...

    def epoch(self, number: int, batches: int, done: int) -> None: ...

    def batch(self, done: int, loss: float) -> None: ...

    def record(self, record: Record, seconds: float) -> None: ...

    def note(self, text: str) -> None: ...

    def end(self) -> None: ...


class Plain(Quiet):
    """One line for each epoch."""

    def __init__(self, write: Callable[[str], None] | None = None) -> None:
        self._write = write or (lambda text: print(text, flush=True))

    def record(self, record: Record, seconds: float) -> None:
        self._write(f"{record.line()}  ({seconds:.1f} s)")

    def note(self, text: str) -> None:
        self._write(text)
