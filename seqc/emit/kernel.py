"""A kernel as text: its parameters, its body, and what a call has to hand in.

Every kernel runs over `rows` instants: all steps of all sequences where memory allows it, else the sequences of one
step. Its body names parameters by position only, so that equal bodies of any layer or entry point are found equal and
printed once; `Shelf` keeps them and gives each the name of its first user.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from seqc.emit.layout import call, comment
from seqc.emit.names import TEXT, Namer
from seqc.flow.types import Axis
from seqc.plan.buffers import Buffer, Operand
from seqc.plan.chain import LOCAL
from seqc.plan.types import Plan

LONGEST = 26


@dataclass(frozen=True, slots=True)
class Pointer:
    """A parameter that points to an operand at the first row; `wanted` is the name that a reader would like."""

    kind: str
    operand: Operand
    written: bool
    wanted: str


@dataclass(frozen=True, slots=True)
class Scalar:
    """A parameter handed in by value: the text of the argument is `source` (`uniform 3`, `pack 2`, `key`, `t`)."""

    kind: str
    source: tuple[str, int]
    wanted: str


Parameter = Pointer | Scalar


@dataclass(frozen=True, slots=True)
class Kernel:
    """`body` gives the lines of the function, from the names of its parameters. `inline`: it is so short that a call counts."""

    wanted: str
    origin: str
    parameters: tuple[Parameter, ...]
    body: Callable[[Sequence[str]], list[str]]
    inline: bool = False


@dataclass(frozen=True, slots=True)
class Printed:
    """A kernel function: its name, the comment that stands before it, its parameters and its body. `inline` as in `Kernel`."""

    name: str
    origin: tuple[str, ...]
    parameters: tuple[str, ...]
    body: tuple[str, ...]
    inline: bool

    def lines(self, shared: bool = False) -> tuple[str, ...]:
        """The function in the only file that calls it, or, `shared`, as another file calls it."""
        kind = "SEQC_INLINE " if self.inline else "" if shared else "SEQC_KERNEL static "
        return (*self.origin, *self._head(kind, ") {"), *self.body, "}")

    def declaration(self) -> tuple[str, ...]:
        """What a file has to know that calls a shared one."""
        return tuple(self._head("", ");"))

    def _head(self, kind: str, tail: str) -> list[str]:
        return call(0, f"{kind}void {self.name}", ["int64_t rows", *self.parameters], tail)


def short(name: str) -> str:
    """A dotted name cut to its last parts, so that lines stay short."""
    parts = name.split(".")
    kept = parts[-1]
    for part in reversed(parts[:-1]):
        if len(part) + 1 + len(kept) > LONGEST:
            break
        kept = f"{part}.{kept}"
    return kept[-LONGEST:]


def declared(parameter: Parameter, name: str) -> str:
    """`const real *h`."""
    if isinstance(parameter, Pointer):
        return f"{'' if parameter.written else 'const '}{parameter.kind} *{name}"
    return parameter.kind + name if parameter.kind[-1] in "*&" else f"{parameter.kind} {name}"


@dataclass(slots=True)
class Shelf:
    """The kernels of one file, in the order in which they are first called."""

    _names: Namer = field(default_factory=lambda: Namer(TEXT))
    _by_body: dict[str, str] = field(default_factory=dict)
    printed: list[Printed] = field(default_factory=list)

    def take(self, kernel: Kernel) -> str:
        """The name of the function with this body; it is printed at its first use."""
        canonical = [f"p{number}" for number in range(1, len(kernel.parameters) + 1)]
        types = [declared(p, name) for p, name in zip(kernel.parameters, canonical, strict=True)]
        key = "\n".join([", ".join(types), *kernel.body(canonical), "inline" if kernel.inline else ""])
        if key not in self._by_body:
            name = self._names.name(short(kernel.wanted))
            self._by_body[key] = name
            self.printed.append(self._print(name, kernel))
        return self._by_body[key]

    def _print(self, name: str, kernel: Kernel) -> Printed:
        namer = Namer(
            TEXT
            | {
                "x",
                "v",
                "T",
                "K",
                name,
                *(f"x{n}" for n in range(200)),
                *(f"v{n}" for n in range(400)),
                *(f"{kind}{n}" for kind in ("fold", "line", "r", "d") for n in range(40)),
            }
        )
        names = [namer.name(short(parameter.wanted)) for parameter in kernel.parameters]
        signature = tuple(declared(p, n) for p, n in zip(kernel.parameters, names, strict=True))
        origin = tuple(comment(kernel.origin)) if kernel.origin else ()
        return Printed(name, origin, signature, tuple(kernel.body(names)), kernel.inline)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a kernel runs. In a scan it sees one step at a time; across, all of them unless operands forbid it.

    `axes` are those of the kernel, `by_step` says whether calls are made step by step, `count` how many rows a kernel
    without axes has. `run`: the number of steps from t on that one call is for, in a stretch of time. `sorted`: rows are
    sorted by their lengths; `single`: how many of them one call has in a loop over rows, "1" or as "many" as the caller has
    side by side, too.
    """

    axes: frozenset[Axis]
    by_step: bool
    count: int = 1
    run: str = ""
    sorted: bool = False
    single: str = ""

    def rows(self) -> str:
        """How many rows one call has."""
        if self.single:
            return self.single
        if self.sorted and Axis.BATCH in self.axes and (self.by_step or self.run):
            return "living"
        if self.sorted and self.axes >= {Axis.TIME, Axis.BATCH}:
            return "alive.total()"
        axes = self.axes - {Axis.TIME} if self.by_step else self.axes
        steps = self.run or "steps"
        factors = [name for axis, name in ((Axis.TIME, steps), (Axis.BATCH, "batch")) if axis in axes]
        return " * ".join(factors) or str(self.count)

    def varies(self, plan: Plan, operand: Operand) -> bool:
        """Whether an operand moves on with the row."""
        if plan.buffers[operand.buffer].home.role == LOCAL:
            return False
        axes = axes_of(plan, operand) & self.axes
        return bool(axes - {Axis.TIME}) if self.by_step else bool(axes)


def axes_of(plan: Plan, operand: Operand) -> frozenset[Axis]:
    """The axes along which an operand moves; one fixed instant of a buffer has no time."""
    axes = plan.buffers[operand.buffer].axes
    return axes - {Axis.TIME} if operand.at else axes


def gate_of(plan: Plan, operand: Operand) -> int | None:
    """The row of an interleaved buffer that an operand reads; None where its elements lie side by side."""
    return operand.gate if plan.buffers[operand.buffer].gates > 1 else None


def place(
    plan: Plan, axes: frozenset[Axis], operands: Sequence[Operand], in_scan: bool, stepwise: bool = False
) -> Place:
    """One call for all steps if every operand has all the axes of the kernel or none of them."""
    ragged = bool(plan.length)
    if Axis.TIME not in axes:
        return Place(axes, in_scan, sorted=ragged)
    mixed = any(axes_of(plan, operand) & axes not in (axes, frozenset()) for operand in operands)
    ring = any(plan.buffers[operand.buffer].ring for operand in operands)
    return Place(axes, in_scan or mixed or ring or stepwise, sorted=ragged)


ROWS = {
    "t * batch + rows.first": "now",
    "(t + 1) * batch + rows.first": "after",
    "(t - 1) * batch + rows.first": "before",
    "(t % 2) * batch + rows.first": "now_of_two",
    "((t + 1) % 2) * batch + rows.first": "after_of_two",
    "steps * batch + rows.first": "last",
    "(steps - 1) * batch + rows.first": "end",
    "(steps % 2) * batch + rows.first": "last_of_two",
    "(t - from) * batch + rows.first": "inside",
}
"""Where the first row of a member lies in a buffer of all steps, of two, or of a stretch: names for what many pointers have in
common."""


def pointer_text(plan: Plan, operand: Operand, by_step: bool, base: str, first: str = "") -> str:
    """`h + ((t + 1) * batch + rows.first) * 512 + 128`: the operand at the first row of a call, `first` rows further."""
    buffer = plan.buffers[operand.buffer]
    terms = [base]
    instant = _instant(buffer, operand, by_step) if Axis.TIME in buffer.axes else ""
    batch = Axis.BATCH in buffer.axes
    stride = [str(buffer.stride)] if buffer.stride != 1 else []
    if instant and batch and first:
        row = f"{'' if instant == '1' else f'{instant} * '}batch + {first}"
        named = ROWS.get(row, f"({row})" if stride else row)
        terms.append(" * ".join([named, *stride]))
    elif instant:
        terms.append(" * ".join([instant, *(["batch"] if batch else []), *stride]))
    elif batch and first:
        terms.append(" * ".join([first, *stride]))
    if operand.offset:
        terms.append(str(operand.offset))
    return " + ".join(terms)


def _instant(buffer: Buffer, operand: Operand, by_step: bool) -> str:
    """Number of the instant at which the operand starts; empty for 0."""
    if operand.at == "first":
        return ""
    if operand.at == "last":
        text = _shifted("steps", buffer.slots - 1)
    elif by_step:
        text = _shifted("t", operand.shift)
    else:
        text = str(operand.shift) if operand.shift else ""
    if buffer.local:
        return "(t - from)"
    if buffer.ring and text:
        return f"({text} % {buffer.ring})"
    return text


def _shifted(name: str, shift: int) -> str:
    if not shift:
        return name
    return f"({name} + {shift})" if shift > 0 else f"({name} - {-shift})"
