"""A large translation unit in several files, which compilers work on side by side: kernels in some, all else in the main one.

Takes the record of the whole unit and its kernels; gives the files of the library, the main one first. Who calls a kernel
does not matter to it, since none is inlined but those that are so short that a call counts: they stay with their callers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate

from seqc.emit.contexts import KernelHeader, Kernels, Unit
from seqc.emit.kernel import Printed
from seqc.emit.layout import tidy
from seqc.emit.render import render

LINES = 200
"""Lines of kernels that a file holds, about. It takes a second or two, a third of a second of it for the headers."""

FEW = 100
"""Lines of kernels up to which they stay with their callers."""


def divide(whole: Unit, printed: Sequence[Printed], stem: str) -> Mapping[str, str]:
    """`<stem>.cpp`, and `<stem>_kernels.hpp` with `<stem>_kernels_1.cpp` and so on where there are more than a few."""
    shared = [kernel for kernel in printed if not kernel.inline]
    if sum(len(kernel.body) for kernel in shared) <= FEW:
        return {f"{stem}.cpp": tidy(render("cpp/unit.cpp.jinja", whole))}
    header = f"{stem}_kernels.hpp"
    include = (f'#include "{header}"',)
    short = tuple(kernel.lines() for kernel in printed if kernel.inline)
    main = replace(whole, opening=include, apart=True, kernels=short)
    declarations = tuple(kernel.declaration() for kernel in shared)
    common = KernelHeader(whole.heading, whole.opening, whole.real, whole.lanes, whole.space, declarations)
    files = {
        f"{stem}.cpp": render("cpp/unit.cpp.jinja", main),
        header: render("cpp/kernels.hpp.jinja", common),
    }
    for number, kernels in enumerate(_shelves(shared), start=1):
        lines = tuple(kernel.lines(shared=True) for kernel in kernels)
        context = Kernels(whole.heading, header, whole.space, lines)
        files[f"{stem}_kernels_{number}.cpp"] = render("cpp/kernels.cpp.jinja", context)
    return {name: tidy(text) for name, text in files.items()}


def _shelves(kernels: Sequence[Printed]) -> list[list[Printed]]:
    """Neighbours together, about equally many lines in each file."""
    lengths = [len(kernel.body) for kernel in kernels]
    total = sum(lengths)
    count = max(1, round(total / LINES))
    shelves: list[list[Printed]] = [[] for _ in range(count)]
    for kernel, length, end in zip(kernels, lengths, accumulate(lengths), strict=True):
        middle = end - length / 2
        shelves[min(count - 1, int(middle * count / total))].append(kernel)
    return [shelf for shelf in shelves if shelf]
