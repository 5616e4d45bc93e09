"""Programs for tests: any example, library file or text as a lowered Program, without the driver."""

from __future__ import annotations

from pathlib import Path

from seqc.lower import LowerOptions, lower
from seqc.lower.program import Program
from seqc.source.text import Source
from seqc.syntax.parse import parse

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"


def reader(folder: Path):
    """Reads `std/…` from the library and everything else from a folder."""

    def read(name: str) -> Source:
        path = ROOT / "seqc" / name if name.startswith("std/") else folder / name
        return Source(name, path.read_text(encoding="utf-8"))

    return read


def programs(text: str, name: str = "model.seq", folder: Path = EXAMPLES, **dims: int) -> tuple[Program, ...]:
    """All models of a text."""
    source = Source(name, text)
    return lower(parse(source), source, reader(folder), LowerOptions(dims=dims))


def program(text: str, **dims: int) -> Program:
    """The one model of a text."""
    (found,) = programs(text, **dims)
    return found


def example(name: str, **dims: int) -> Program:
    """The one model of `examples/<name>.seq`."""
    path = EXAMPLES / f"{name}.seq"
    (found,) = programs(path.read_text(encoding="utf-8"), path.name, EXAMPLES, **dims)
    return found
