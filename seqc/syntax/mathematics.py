"""Equations as they are printed in papers: cells, functions and optimizers of the language → LaTeX, a string a line.

Takes Trees, and the cells of the library by name, so that a gate appears as its products and not as a call. Nothing is
resolved beyond that: a name that stands for a value of each step gets the index t, `prev` makes it t - 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from seqc.syntax import tree
from seqc.syntax.roles import DRAWS, Roles
from seqc.syntax.symbols import COMPARISONS, FUNCTIONS, indexed, number, symbol, word

CHOICE, COMPARE, SUM, PRODUCT, POWER, ATOM = range(6)

Library = Mapping[str, tree.Cell]
Printed = tuple[str, int]
"""LaTeX and how strongly it holds together."""


def equations_of(item: tree.Cell | tree.Fn | tree.Optimizer, library: Library) -> tuple[str, ...]:
    """The lines that say what an item computes."""
    if isinstance(item, tree.Fn):
        return function_lines(item)
    writer = Writer(library=library, index="k" if isinstance(item, tree.Optimizer) else "t")
    writer.learn(item)
    for each in item.body:
        if isinstance(each, tree.Equation):
            writer.equation(each)
        elif isinstance(each, tree.State):
            writer.held(each)
    return tuple(writer.lines)


def function_lines(item: tree.Fn) -> tuple[str, ...]:
    """The equations of a function; the one of its result begins with the call."""
    writer = Writer()
    writer.learn(item)
    if item.value is not None:
        return (f"{called(item)} = {writer.text(item.value)}",)
    for each in item.equations:
        writer.equation(each)
    start = f"{symbol(item.results[0].name.text)} = "
    return tuple(
        f"{called(item)} = {line[len(start) :]}" if line.startswith(start) else line for line in writer.lines
    )


def called(item: tree.Fn) -> str:
    """A function with the names of its arguments."""
    return rf"{word(item.name.text)}({', '.join(symbol(port.name.text) for port in item.ports)})"


@dataclass(slots=True)
class Writer(Roles):
    """One item while it is printed; `index` counts its steps, or is empty where there are none."""

    library: Library = field(default_factory=dict)
    index: str = ""
    lines: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    called: dict[str, str] = field(default_factory=dict)

    # --- lines

    def equation(self, node: tree.Equation) -> None:
        """One line, behind those of the layers that it calls."""
        value = node.value
        left = ", ".join(self.name(name.text) for name in node.names)
        right = None
        if isinstance(value, tree.Call) and isinstance(value.function, tree.Reference):
            right = self.layer(value.function.name, value)
        self.lines.append(f"{left} = {right[0] if right else self.text(value)}")

    def held(self, node: tree.State) -> None:
        """A state without an equation is what it starts from."""
        for name in node.names:
            if name.text not in self.moving:
                self.lines.append(f"{symbol(name.text)} = {self.text(node.value)}")

    def name(self, name: str, back: bool = False) -> str:
        """A name with its index."""
        if name in self.names:
            return self.names[name]
        if name in self.functions:
            return self.functions[name]
        if name in self.cells:
            return word(name)
        if name == "step":
            return self.index or "k"
        if not self.index or name not in (self.moving | self.states if back else self.moving):
            return symbol(name)
        return indexed(symbol(name), f"{self.index} - 1" if back else self.index)

    # --- expressions

    def text(self, node: tree.Expression | tree.Override, least: int = CHOICE) -> str:
        """LaTeX, in brackets where it holds together less than its place asks."""
        found, level = self.printed(node)
        if level >= least:
            return found
        tall = r"\frac" in found or r"\begin" in found
        return rf"\left({found}\right)" if tall else f"({found})"

    def printed(self, node: tree.Expression | tree.Override) -> Printed:
        match node:
            case tree.Number():
                return number(node.text), ATOM
            case tree.Reference():
                return self.name(node.name), ATOM
            case tree.Prev():
                return self.name(node.name.text, back=True), ATOM
            case tree.Unary():
                sign = r"\lnot " if node.operator == "not" else node.operator
                return f"{sign}{self.text(node.value, PRODUCT)}", SUM
            case tree.Binary():
                return self.binary(node)
            case tree.Call():
                return self.call(node)
            case tree.Reduce():
                axes = ", ".join(name.text for name in node.axes)
                return rf"{self.text(node.function)}_{{\text{{{axes}}}}}({self.text(node.value)})", POWER
            case tree.Pipe():
                return self.pipe(node), ATOM
            case tree.Choose():
                then, other = self.text(node.then), self.text(node.otherwise)
                where = self.text(node.condition)
                rows = rf"{then} & \text{{if }} {where} \\ {other} & \text{{else}}"
                return rf"\begin{{cases}} {rows} \end{{cases}}", CHOICE
            case tree.Pick():
                return f"{self.text(node.value, ATOM)}[{', '.join(map(self.index_of, node.indices))}]", ATOM
            case tree.Vector():
                return f"[{', '.join(self.text(each) for each in node.items)}]", ATOM
            case tree.Override():
                return self.text(node.value), CHOICE
            case tree.Member():
                return rf"{self.text(node.value)}.\mathrm{{{node.name.text}}}", ATOM
        return rf"\text{{{type(node).__name__}}}", ATOM

    def index_of(self, node: tree.Expression | tree.Slice) -> str:
        if not isinstance(node, tree.Slice):
            return self.text(node)
        low, high = ("" if each is None else self.text(each) for each in (node.low, node.high))
        return f"{low}{{:}}{high}"

    def binary(self, node: tree.Binary) -> Printed:
        left, right, sign = node.left, node.right, node.operator
        if sign in COMPARISONS:
            return f"{self.text(left, SUM)} {COMPARISONS[sign]} {self.text(right, SUM)}", COMPARE
        if sign in "+-":
            return f"{self.text(left, SUM)} {sign} {self.text(right, SUM if sign == '+' else PRODUCT)}", SUM
        if sign == "/":
            return rf"\frac{{{self.text(left)}}}{{{self.text(right)}}}", POWER
        if sign == "^":
            return f"{self.text(left, ATOM)}^{{{self.text(right)}}}", POWER
        times = r" \odot "
        if sign == "@":
            return rf"{self.text(left, POWER)}\, {self.text(right, POWER)}", PRODUCT
        if self.scalar(left) and self.scalar(right):
            times = r" \cdot "
        elif self.scalar(left) or self.scalar(right) or self.index in ("k", ""):
            times = r"\, "
        return f"{self.text(left, PRODUCT)}{times}{self.text(right, PRODUCT)}", PRODUCT

    def call(self, node: tree.Call) -> Printed:
        if not isinstance(node.function, tree.Reference):
            return r"\text{call}", ATOM
        name = node.function.name
        if name in ("real", "int"):
            return self.printed(node.positional[0])
        if name in self.layers:
            return self.layer_value(name, node)
        if name in DRAWS:
            given = [each for each in node.positional if not isinstance(each, tree.Vector)]
            return rf"\mathrm{{{name.capitalize()}}}({', '.join(map(self.text, given))})", ATOM
        given_text = ", ".join(self.text(each) for each in node.positional)
        wrap = {
            "sqrt": rf"\sqrt{{{given_text}}}",
            "abs": rf"\lvert {given_text} \rvert",
            "stop": rf"\overline{{{given_text}}}",
            "transpose": rf"{given_text}^\top",
            "concat": f"[{given_text}]",
            "identity": given_text,
        }
        if name in wrap:
            return wrap[name], ATOM if name != "identity" else CHOICE
        function = self.functions[name] if name in self.functions else FUNCTIONS.get(name) or word(name)
        if not function:
            return self.printed(node.positional[0])
        tall = r"\frac" in given_text
        return (rf"{function}\left({given_text}\right)" if tall else f"{function}({given_text})"), POWER

    def pipe(self, node: tree.Pipe) -> str:
        """`x |> F(n)`: a cell made on the spot, its arguments as indices."""
        found = self.text(node.value)
        for stage in node.stages:
            made = stage if isinstance(stage, tree.Call) else None
            function = made.function if made is not None else stage
            name = word(function.name) if isinstance(function, tree.Reference) else self.text(function)
            given = ", ".join(self.text(each) for each in made.arguments) if made is not None else ""
            found = rf"{name}_{{{given}}}({found})" if given else f"{name}({found})"
        return found

    # --- layers

    def layer_value(self, name: str, node: tree.Call) -> Printed:
        """A layer within an expression: its name of this step, with a line of its own for what it computes."""
        found = self.layer(name, node)
        if found is None:
            return self.text(node.function), ATOM
        if found[1] == ATOM:  # a cell that is not written out
            return found
        own = indexed(symbol(name), self.index)
        if self.called.setdefault(name, found[0]) != found[0]:
            return found
        if f"{own} = {found[0]}" not in self.lines:
            self.lines.append(f"{own} = {found[0]}")
        return own, ATOM

    def layer(self, name: str, node: tree.Call) -> Printed | None:
        """What a layer computes, or None if the name is none."""
        made = self.layers.get(name)
        if made is None:
            return None
        cell = self.cell_of(made)
        equations = (
            [each for each in cell.body if isinstance(each, tree.Equation)] if cell is not None else []
        )
        if cell is None or not isinstance(made, tree.Call) or len(equations) != 1 or self.deep(cell):
            title = rf"\mathrm{{{cell.name.text}}}" if cell is not None else r"\mathrm{body}"
            given = ", ".join(self.text(each) for each in node.positional)
            return rf"{title}_{{\mathrm{{{name}}}}}({given})", ATOM
        inside = Writer(library=self.library, index=self.index)
        inside.learn(cell)
        for port, value in zip(cell.ports, node.positional, strict=True):
            inside.names[port.name.text] = self.text(value, ATOM)
        for each in cell.body:
            if isinstance(each, tree.Param):
                for own in each.names:
                    inside.names[own.text] = indexed(symbol(own.text), symbol(name))
        for position, static in enumerate(cell.statics):
            if static.kind == "fn":
                chosen = made.positional[position] if position < len(made.positional) else static.default
                inside.functions[static.name.text] = self.function(chosen)
        return inside.text(equations[0].value), CHOICE

    def function(self, node: tree.Expression | None) -> str:
        """A function handed to a layer; empty for the identity."""
        if not isinstance(node, tree.Reference) or node.name == "identity":
            return ""
        return self.functions.get(node.name) or FUNCTIONS.get(node.name) or word(node.name)

    def cell_of(self, node: tree.Expression) -> tree.Cell | None:
        function = node.function if isinstance(node, tree.Call) else node
        return self.library.get(function.name) if isinstance(function, tree.Reference) else None

    @staticmethod
    def deep(cell: tree.Cell) -> bool:
        """Whether a cell has memory or layers of its own."""
        return any(isinstance(each, tree.State | tree.Layer) for each in cell.body)
