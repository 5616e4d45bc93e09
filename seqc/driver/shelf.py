"""The page `docs/cells.md`: what the standard library computes and costs, written from its sources.

`python -m seqc.driver.shelf > docs/cells.md` writes it; `page()` gives its text. Equations come from Trees, numbers of
parameters from lowered models, operations and bytes from their graphs.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from math import prod

from seqc.driver import resources
from seqc.lower import lower
from seqc.lower.program import Program
from seqc.ops.cost import cost
from seqc.passes import flow_for
from seqc.source.text import Source
from seqc.syntax import tree
from seqc.syntax.mathematics import equations_of
from seqc.syntax.parse import parse

STATED: Mapping[str, int] = {"D": 64, "H": 64, "P": 32, "M": 32, "n": 8, "E": 64, "V": 1000}
"""Sizes at which the numbers of the page hold."""

PRIMES: Mapping[str, int] = {"n": 7, "D": 101, "H": 103, "P": 107, "M": 109, "E": 113, "V": 127}
"""Sizes by which a parameter's shape tells what it is made of: 412 is 4 H."""

USES: Mapping[str, str] = {
    "Embedding": "Embedding({E})",
    "Dropout": "Dropout(0.3)",
    "HeldDropout": "HeldDropout(0.3)",
    "Residual": "Residual(Dense({D}))",
    "Stack": "Stack(LSTM({H}), 3)",
    "Both": "Both(LSTM({H}))",
    "Delay": "Delay({n})",
    "ProjectedLSTM": "ProjectedLSTM({H}, {P})",
    "LMU": "LMU({H}, {M}, 100)",
    "Conv": "Conv({H}, {n})",
}
"""How a cell is made that needs more than a size H, or other than that."""

MODEL = """use std.cells: {names}
model Shelf {{
{inputs}
  layer it = {use}
  y = it({ports})
  output y
}}
"""

HEAD = """# The shelf

What the standard library computes, and what it costs. `python -m seqc.driver.shelf > docs/cells.md` writes this page from
[seqc/std](../seqc/std), and a test holds it against the sources.

"""

CELLS_HEAD = """## Cells

$`x_t`$ is the input of a step, an index $`t - 1`$ is what `prev` reads; $`\\odot`$ multiplies element by element, and through
$`\\overline{a}`$ no gradient passes. $`\\varphi`$ is the function that a cell is given; a cell or layer that is not written
out here stands with its name. A gate has its weights $`W, U, b`$ under its own letter: $`W_f`$ is the parameter `f.W`.
Learned values before the first step (`h0`, `c0`) are left out of equations, not of counts.

Numbers hold for D = 64 inputs and, as the last line of each first column says, mostly H = 64 units. *Operations* are those of
one step of one sequence, forward: a product's multiplication and addition are two, every elementwise operation is one.
*Bytes* are what a step at least moves in float32: each parameter that it needs once, each state in and out. With a batch
the parameters are read once for all rows.

"""

LOSSES_HEAD = """## Losses

Of one step; `mean(… over time, batch)` makes a loss of them. The last two have reduced already.

"""

OPTIMIZERS_HEAD = """## Optimizers

$`g_k`$ is the clipped gradient of update k, counted from 0; $`w_{k-1}`$ and the like are values before it. *Kept* is how many
numbers an optimizer keeps for each weight, *bytes* what an update moves for each weight in float32.

"""

SCHEDULES_HEAD = """## Learning rates

Functions of `step`, the updates so far, for `lr = …` of an optimizer.

"""

FUNCTIONS_HEAD = """## Functions that need no `use`

"""


def page() -> str:
    """The text of `docs/cells.md`."""
    sources = {name: standard(name) for name in ("cells", "losses", "optim", "schedules", "prelude")}
    files = {name: parse(source).items for name, source in sources.items()}
    library = {each.name.text: each for each in files["cells"] if isinstance(each, tree.Cell)}
    cells = [cell_row(each, library, sources["cells"]) for each in library.values()]
    schedules = [each for each in files["prelude"] if name_of(each) in ("cosine", "rising")]
    functions = [each for each in files["prelude"] if each not in schedules]
    optimizers = [optimizer_row(e, sources["optim"]) for e in files["optim"] if isinstance(e, tree.Optimizer)]
    plain = ("Function", "What it computes", "About")
    parts = [
        HEAD,
        CELLS_HEAD,
        table(("Cell", "Equations", "Parameters", "Number", "Operations", "Bytes", "About"), cells),
        LOSSES_HEAD,
        table(plain, function_rows(files["losses"])),
        OPTIMIZERS_HEAD,
        table(("Optimizer", "Equations", "Kept", "Bytes", "About"), optimizers),
        SCHEDULES_HEAD,
        table(plain, function_rows([*files["schedules"], *schedules])),
        FUNCTIONS_HEAD,
        table(plain, function_rows(functions)),
    ]
    return "".join(parts).rstrip("\n") + "\n"


def standard(name: str) -> Source:
    """A file of the library."""
    path = resources.standard_library() / f"{name}.seq"
    return Source(f"std/{name}.seq", path.read_text(encoding="utf-8"))


def read(name: str) -> Source:
    return standard(name.removeprefix("std/").removesuffix(".seq"))


def name_of(item: object) -> str:
    return item.name.text if isinstance(item, tree.Cell | tree.Fn | tree.Optimizer) else ""


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [
        heads,
        ["---:" if each in ("Number", "Operations", "Bytes", "Kept") else "---" for each in heads],
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in [*lines, *rows]) + "\n"


def printed(lines: Sequence[str]) -> str:
    """Equations below each other; code marks keep Markdown's hands off them."""
    return "<br>".join(f"$`{line}`$" for line in lines)


def about(item: tree.Cell | tree.Fn | tree.Optimizer) -> str:
    return " ".join((item.doc or "").split()).replace("|", "\\|")


def signature(item: tree.Cell | tree.Optimizer, source: Source) -> str:
    """`RNN(H, act = tanh)`"""
    arguments = []
    for each in item.statics:
        default = each.default
        value = "" if default is None else f" = {source.text[default.span.start : default.span.end]}"
        arguments.append(each.name.text + value)
    return f"`{item.name.text}({', '.join(arguments)})`"


def function_rows(items: Sequence[object]) -> list[list[str]]:
    rows = []
    for each in items:
        if isinstance(each, tree.Fn):
            ports = ", ".join(port.name.text for port in each.ports)
            rows.append([f"`{each.name.text}({ports})`", printed(equations_of(each, {})), about(each)])
    return rows


def optimizer_row(item: tree.Optimizer, source: Source) -> list[str]:
    kept = sum(len(each.names) for each in item.body if isinstance(each, tree.State))
    moved = 4 * (3 + 2 * kept)  # the weight and each state in and out, the gradient in
    return [signature(item, source), printed(equations_of(item, {})), str(kept), str(moved), about(item)]


def cell_row(cell: tree.Cell, library: Mapping[str, tree.Cell], source: Source) -> list[str]:
    stated = use_of(cell, STATED)
    shapes = model_of(cell, PRIMES)
    model = model_of(cell, STATED)
    entry = "step" if model.causal else "infer"
    found = cost(flow_for(model, entry))
    count = sum(prod(each.type.dims) for each in model.parameters)
    return [
        f"{signature(cell, source)}<br>`{stated}`",
        printed(equations_of(cell, library)),
        f"$`{formula([each.type.dims for each in shapes.parameters])}`$" if count else "none",
        f"{count:,}",
        f"{found.flops:,}",
        f"{found.bytes:,}",
        about(cell),
    ]


def use_of(cell: tree.Cell, sizes: Mapping[str, int]) -> str:
    """How a cell is made with these sizes. Raises ValueError for one that `USES` has to tell."""
    name = cell.name.text
    needed = [each.name.text for each in cell.statics if each.default is None]
    if name not in USES and needed not in ([], ["H"]):
        raise ValueError(f"`{name}` needs {', '.join(needed)}: say in USES how it is made")
    return USES.get(name, f"{name}({'{H}' if needed else ''})").format(**sizes)


def model_of(cell: tree.Cell, sizes: Mapping[str, int]) -> Program:
    """A model that is one layer; ports called `h` have H numbers, others D."""
    use = use_of(cell, sizes)
    inputs = []
    for port in cell.ports:
        size = sizes["H" if port.name.text == "h" else "D"]
        kind = port.type.name.text if port.type is not None else "real"
        inputs.append(
            f"  input {port.name.text}: " + (f"index({sizes['V']})" if kind == "index" else f"real[{size}]")
        )
    names = sorted(set(re.findall(r"(\w+)\(", use)))
    ports = ", ".join(port.name.text for port in cell.ports)
    text = MODEL.format(names=", ".join(names), inputs="\n".join(inputs), use=use, ports=ports)
    source = Source("shelf.seq", text)
    (program,) = lower(parse(source), source, read)
    return program


def formula(shapes: Sequence[tuple[int, ...]]) -> str:
    """How many numbers arrays of these shapes hold, in letters: the sizes are multiples of `PRIMES`."""
    terms: Counter[str] = Counter()
    for dims in shapes:
        count, letters = prod(dims), []
        for letter, prime in PRIMES.items():
            while count % prime == 0:
                count //= prime
                letters.append(letter)
        terms["".join(letters)] += count
    ordered = sorted(terms.items(), key=lambda each: (-len(each[0]), each[0]))
    return " + ".join(term(count, letters) for letters, count in ordered)


def term(count: int, letters: str) -> str:
    """`4 H^2`"""
    powers = "".join(
        letter if times == 1 else f"{letter}^{times}" for letter, times in sorted(Counter(letters).items())
    )
    return f"{count if count > 1 or not powers else ''}{powers}"


if __name__ == "__main__":
    sys.stdout.write(page())
