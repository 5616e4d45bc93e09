"""Loops over time as text, plain ones and those that go by stretches of steps (see `plan.stretch`).

Takes a Scan and what prints the entry point that it stands in; adds its lines to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from typing import Protocol

from seqc.emit.alive import named_in_loop
from seqc.emit.layout import COLUMNS, comment, mentions
from seqc.emit.model import Model
from seqc.emit.team import Team
from seqc.flow.types import Way
from seqc.plan import types as plan_types
from seqc.plan.share import Split, by_row, split_of
from seqc.plan.types import Product


class Printer(Protocol):
    """What a loop needs of the printer of its entry point."""

    model: Model
    plan: plan_types.Plan
    lines: list[str]
    team: Team

    def kernel(self, node: plan_types.Kernel, indent: int, in_scan: bool, run: str = "") -> None:
        """Adds the call of a kernel."""


def print_scan(printer: Printer, node: plan_types.Scan, indent: int) -> None:
    way = "forward" if node.way is Way.FORWARD else "backward"
    label = f"loop over time, {way}" + (f": {node.origin}" if node.origin else "")
    printer.lines += [*comment(label, indent), *printer.team.opens(indent)]
    if node.stretch:
        _stretch(printer, node, indent)
    else:
        _loop(printer, node, indent, "0", "steps")


def _loop(printer: Printer, node: plan_types.Scan, indent: int, first: str, end: str) -> None:
    """The kernels of a scan for the steps from first to end - 1, in the order of its way."""
    head = f"int64_t t = {first}; t < {end}; ++t"
    if node.way is Way.BACKWARD:
        head = f"int64_t t = {end} - 1; t >= {first}; --t"
    with _block(printer, f"for ({head}) {{", indent):
        for kernel in node.kernels:
            printer.kernel(kernel, indent + 2, True)
    if any(isinstance(each, Product) and each.epilogue and each.epilogue.late for each in node.kernels):
        printer.lines.append(f"{' ' * indent}settle();")


def _stretch(printer: Printer, node: plan_types.Scan, indent: int) -> None:
    """A loop over stretches of steps. What stands before the loop over time is done for all steps of one at once, in
    one call if all rows of the batch are this member's, else step by step; what stands after it by all members
    together."""
    margin, shared = " " * (indent + 2), printer.team.share.split is Split.ROWS
    first, way, later = "0", "from < steps; from += stretch", "from > 0"
    if node.way is Way.BACKWARD:
        first, way = "(steps - 1) / stretch * stretch", "from >= 0; from -= stretch"
        later = "to < steps"
    printer.team.together = bool(node.after)
    if printer.plan.length:
        _sorted_stretch(printer, node, indent)
    else:
        _even_stretch(printer, node, indent, first, way)
    count = "to - from"
    if node.after:
        printer.lines.append(f"{margin}const int64_t count = to - from;")
        printer.lines.append(f"{margin}const bool later = {later};")
        count = "count"
    if node.before or any(by_row(printer.plan, each) for each in node.after):
        run = f"{printer.team.batch()} == batch ? {count} : 1" if shared else count
        printer.lines.append(f"{margin}const int64_t run = {run};")
    if node.before:
        _made(printer, node.before, indent + 2)
    _loop(printer, node, indent + 2, "from", "to")
    _after(printer, node, indent + 2)
    printer.lines.append(f"{' ' * indent}}}")


def _made(printer: Printer, kernels: Iterable[plan_types.Kernel], indent: int) -> None:
    """Kernels that make the cells of a stretch, each those of its own rows."""
    with _block(printer, "for (int64_t t = from; t < to; t += run) {", indent):
        for kernel in kernels:
            printer.kernel(kernel, indent + 2, False, "run")


def _sorted_stretch(printer: Printer, node: plan_types.Scan, indent: int) -> None:
    """The head of a loop over stretches of as many cells as there are, where rows end."""
    margin = " " * indent
    if node.way is Way.FORWARD:
        printer.lines.append(f"{margin}for (int64_t from = 0, to = 0; from < steps; from = to) {{")
        printer.lines.append(f"{margin}  to = alive.ahead(from, {node.stretch});")
    else:
        printer.lines.append(f"{margin}for (int64_t from = steps, to = steps; to > 0; to = from) {{")
        printer.lines.append(f"{margin}  from = alive.behind(to, {node.stretch});")


def _even_stretch(printer: Printer, node: plan_types.Scan, indent: int, first: str, way: str) -> None:
    """The head of a loop over stretches of equally many steps."""
    margin = " " * (indent + 2)
    head = f"int64_t stretch = max(int64_t{{1}}, {node.stretch} / batch), from = {first}"
    opening = f"{' ' * indent}for ({head}; {way}) {{"
    if len(opening) > COLUMNS:
        start, end = way.rsplit("; ", 1)
        printer.lines += [f"{' ' * indent}for ({head}; {start};", f"{' ' * (indent + 5)}{end}) {{"]
    else:
        printer.lines.append(opening)
    printer.lines.append(f"{margin}const int64_t to = min(from + stretch, steps);")


def _after(printer: Printer, node: plan_types.Scan, indent: int) -> None:
    """What sums up a stretch, and what is made to be summed: all members have been through it before, and after it they go on
    together."""
    share, alone = printer.team.share, printer.team.shares is None
    meet = [] if alone else [f"{' ' * indent}share.meet();"]
    task = 0
    for made, kernels in groupby(node.after, partial(by_row, printer.plan)):
        if made:
            _made(printer, kernels, indent)
            continue
        printer.lines += meet
        with _block(printer, "{", indent):
            start = len(printer.lines)
            for kernel in kernels:
                printer.team.share = split_of(printer.plan, kernel, printer.model.target.lanes)
                if alone or printer.team.share.split is Split.PART:
                    printer.kernel(kernel, indent + 2, False, "count")
                else:
                    with _block(printer, f"if (share.takes({task})) {{", indent + 2):
                        printer.kernel(kernel, indent + 4, False, "count")
                task += 1
            if mentions(printer.lines[start:], "t"):
                printer.lines.insert(start, f"{' ' * (indent + 2)}const int64_t t = from;")
        printer.team.share = share
        printer.lines += meet


@contextmanager
def _block(printer: Printer, head: str, indent: int) -> Iterator[None]:
    """Lines between braces, the names for rows that they use at their beginning."""
    printer.lines.append(f"{' ' * indent}{head}")
    start = len(printer.lines)
    yield
    lines, run = printer.lines[start:], "run" if "+= run" in head else "count" if head == "{" else ""
    if head.startswith("for") or (run and printer.plan.length):
        printer.lines[start:start] = named_in_loop(printer.plan, printer.team, lines, indent + 2, run)
    printer.lines.append(f"{' ' * indent}}}")
