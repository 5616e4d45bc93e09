"""A large translation unit in several files, which compilers work on side by side.

Takes the record of the whole unit and its kernels; gives the files of the library, the main one first. Kernels are not
inlined but those that are so short that a call counts: these stand in a header.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from seqc.emit.contexts import EntryText, Part, Parts, Unit
from seqc.emit.kernel import Printed
from seqc.emit.layout import tidy
from seqc.emit.render import render

LINES = 200
"""Lines of kernels that a file holds, about. It takes a second or two, a third of a second of it for the headers."""

FEW = 100
"""Lines of kernels up to which all stand in one file."""

CALLS = 3
"""So many lines of an entry point, which are calls, take as long as one of a kernel."""

MOVED = frozenset({"evaluate", "gradients", "apply", "update"})
"""Entry points of which the whole function is called; that of a step becomes a part of its caller."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A function, and how many lines of kernels take as long to compile."""

    function: Printed | EntryText
    weight: float


def is_large(printed: Sequence[Printed]) -> bool:
    """Whether a unit with these kernels is worth more files than one."""
    return sum(len(kernel.body) for kernel in printed if not kernel.inline) > FEW


def divide(whole: Unit, printed: Sequence[Printed], stem: str) -> Mapping[str, str]:
    """`<stem>.cpp`, `<stem>_parts.hpp`, which all include, `<stem>_part_1.cpp` and so on."""
    kernels = [kernel for kernel in printed if not kernel.inline]
    entries = [entry for entry in whole.entries if entry.name in MOVED]
    header = f"{stem}_parts.hpp"
    main = replace(
        whole,
        opening=(f'#include "{header}"',),
        divided=True,
        kernels=(),
        entries=tuple(entry for entry in whole.entries if entry.name not in MOVED),
    )
    common = Parts(
        whole.heading,
        whole.opening,
        whole.real,
        whole.lanes,
        whole.space,
        tuple(kernel.lines() for kernel in printed if kernel.inline),
        tuple(kernel.declaration() for kernel in kernels),
        tuple(entry.name for entry in entries),
    )
    files = {
        f"{stem}.cpp": render("cpp/unit.cpp.jinja", main),
        header: render("cpp/parts.hpp.jinja", common),
    }
    pieces = [Piece(entry, len(entry.lines) / CALLS) for entry in entries]
    pieces += [Piece(kernel, len(kernel.body)) for kernel in kernels]
    for number, functions in enumerate(_shelves(pieces), start=1):
        part = Part(
            whole.heading,
            header,
            whole.space,
            tuple(each.lines(shared=True) for each in functions if isinstance(each, Printed)),
            tuple(each for each in functions if isinstance(each, EntryText)),
        )
        files[f"{stem}_part_{number}.cpp"] = render("cpp/part.cpp.jinja", part)
    return {name: tidy(text) for name, text in files.items()}


def _shelves(pieces: Sequence[Piece]) -> list[list[Printed | EntryText]]:
    """Neighbours together, about as much work in each file."""
    total = sum(piece.weight for piece in pieces)
    count = max(1, round(total / LINES))
    shelves: list[list[Printed | EntryText]] = [[] for _ in range(count)]
    end = 0.0
    for piece in pieces:
        middle, end = end + piece.weight / 2, end + piece.weight
        shelves[min(count - 1, int(middle * count / total))].append(piece.function)
    return [shelf for shelf in shelves if shelf]
