"""What the names of a cell, function or optimizer are, as far as its Tree tells: numbers, layers, values of each step.

Takes one item; gives sets of names. `mathematics` prints by them; nothing is resolved beyond the item.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from seqc.syntax import tree

DRAWS = ("bernoulli", "normal", "uniform")
REDUCERS = ("sum", "mean", "max", "min", "norm", "last")


@dataclass(slots=True)
class Roles:
    """Names by what they are. `moving` change from step to step; `functions` have their LaTeX."""

    moving: set[str] = field(default_factory=set)
    scalars: set[str] = field(default_factory=set)
    functions: dict[str, str] = field(default_factory=dict)
    cells: set[str] = field(default_factory=set)
    layers: dict[str, tree.Expression] = field(default_factory=dict)
    states: set[str] = field(default_factory=set)

    def learn(self, item: tree.Cell | tree.Fn | tree.Optimizer) -> None:
        """What each name is: a number, a function, a layer, something that changes from step to step."""
        for static in () if isinstance(item, tree.Fn) else item.statics:
            if static.kind == "fn":
                self.functions[static.name.text] = r"\varphi"
            if static.kind == "cell":
                self.cells.add(static.name.text)
            self.scalars.add(static.name.text)
        rule = isinstance(item, tree.Optimizer)
        for port in item.ports:
            self.moving.add(port.name.text)
            if port.type is not None and not port.type.sizes:
                self.scalars.add(port.name.text)
        body = item.equations if isinstance(item, tree.Fn) else item.body
        equations = [each for each in body if isinstance(each, tree.Equation)]
        defined = {name.text for each in equations for name in each.names}
        for each in body:
            if isinstance(each, tree.Layer):
                self.layers |= {name.text: each.value for name in each.names}
            elif isinstance(each, tree.Param) and not each.type.sizes:
                self.scalars |= {name.text for name in each.names}
            elif isinstance(each, tree.State):
                self.states |= {name.text for name in each.names}
                self.moving |= {name.text for name in each.names if name.text in defined}
        for _ in equations:
            for each in equations:
                self.settle(each, rule)

    def settle(self, equation: tree.Equation, rule: bool) -> None:
        """Whether the names of an equation change from step to step, and whether they are numbers."""
        names = {name.text for name in equation.names}
        if any(self.changes(each, rule) for each in parts(equation.value)):
            self.moving |= names
        if not rule and self.scalar(equation.value):
            self.scalars |= names

    def changes(self, node: object, rule: bool) -> bool:
        if isinstance(node, tree.Prev):
            return True
        if not isinstance(node, tree.Reference):
            return False
        return node.name in self.moving or node.name in self.layers or node.name in DRAWS

    def scalar(self, node: tree.Expression | tree.Override) -> bool:
        """Whether an expression is one number."""
        match node:
            case tree.Number():
                return True
            case tree.Reference():
                return node.name in self.scalars or node.name in ("step", "pi", "training")
            case tree.Unary():
                return self.scalar(node.value)
            case tree.Binary():
                return node.operator != "@" and self.scalar(node.left) and self.scalar(node.right)
            case tree.Choose():
                return self.scalar(node.then) and self.scalar(node.otherwise)
            case tree.Pick():
                return all(not isinstance(each, tree.Slice | tree.Vector) for each in node.indices)
            case tree.Call() if isinstance(node.function, tree.Reference):
                name = node.function.name
                reducing = name in REDUCERS and len(node.positional) == 1
                plain = name not in self.layers and name not in DRAWS and bool(node.arguments)
                return reducing or (plain and all(self.scalar(each) for each in node.arguments))
        return False


def parts(node: object) -> list[object]:
    """A node and all below it."""
    found: list[object] = []
    pending: list[object] = [node]
    while pending:
        each = pending.pop()
        found.append(each)
        for name in getattr(each, "__dataclass_fields__", ()):
            value = getattr(each, name)
            pending += value if isinstance(value, tuple) else [value] if isinstance(value, tree.Node) else []
    return found
