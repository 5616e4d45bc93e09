"""Declarations of a body: parameters, states, layers and equations entered under their names, to be read on demand.

Takes the statements of a cell, model or optimizer; what a body of this kind cannot hold is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from seqc.lower import draws, instances
from seqc.lower.arithmetic import as_value, describe, shown
from seqc.lower.body import Body, Definition, Entry, Status
from seqc.lower.labels import label
from seqc.lower.meaning import Dynamic, Meaning, Number, Numbers, Several
from seqc.lower.program import Parameter
from seqc.lower.sizes import check_result, fit_declared, written_type
from seqc.lower.states import finish, next_value
from seqc.source.diagnostic import Label, SeqError, fail
from seqc.syntax import tree

ALLOWED: dict[str, tuple[type, ...]] = {
    "cell": (tree.Param, tree.State, tree.Layer, tree.Equation),
    "optimizer": (tree.State, tree.Equation),
    "fn": (tree.Equation,),
}
WORDS: dict[type, str] = {
    tree.Dim: "dim",
    tree.Hyper: "hyper",
    tree.Input: "input",
    tree.Target: "target",
    tree.Output: "output",
    tree.Param: "param",
    tree.State: "state",
    tree.Layer: "layer",
    tree.Until: "until",
    tree.Loss: "loss",
    tree.Metric: "metric",
}
INSTEAD = {
    "dim": "a size of a cell is an argument: `cell Name(H)(…)`",
    "hyper": "a number of a cell is an argument: `cell Name(rate: real = 0.5)(…)`",
    "input": "what a cell reads are its ports",
    "target": "what a cell reads are its ports",
    "output": "what a cell gives stands behind `->`",
    "loss": "the loss belongs to the model; read parts of a layer there: `look.gate.y`",
    "metric": "metrics belong to the model",
    "until": "`until` belongs to the model",
    "param": "only cells and models have parameters",
    "layer": "only cells and models have layers",
    "state": "a function has no memory; write a cell",
}


def declare(body: Body, statements: Iterable[tree.Statement]) -> None:
    """Enters all statements; mistakes are collected."""
    equations: list[tree.Equation] = []
    for statement in statements:
        try:
            if not isinstance(statement, ALLOWED.get(body.kind, (object,))):
                raise misplaced(body, statement)
            if isinstance(statement, tree.Equation):
                equations.append(statement)
            elif isinstance(statement, tree.Param):
                params(body, statement)
            elif isinstance(statement, tree.State):
                states(body, statement)
            elif isinstance(statement, tree.Layer):
                layers(body, statement)
        except SeqError as error:
            body.shop.problems.add(error)
            poison(body, statement)
    for each in equations:
        try:
            equation(body, each)
        except SeqError as error:
            body.shop.problems.add(error)


def poison(body: Body, statement: tree.Statement) -> None:
    """Enters the names of a statement that was refused, so that their readers stay silent."""
    if isinstance(statement, tree.Input | tree.Target):
        names: tuple[tree.Name, ...] = (statement.name,)
    elif isinstance(statement, tree.Param | tree.State | tree.Layer):
        names = statement.names
    elif isinstance(statement, tree.Dim):
        names = tuple(each.name for each in statement.bindings)
    elif isinstance(statement, tree.Hyper):
        names = tuple(each.name for each in statement.knobs)
    else:
        return
    for name in names:
        if name.text not in body.entries:
            definition = Definition((name.text,), "input", name.span, None, lambda _: (), None, Status.POISON)
            body.entries[name.text] = Entry(name.text, "input", name.span, definition)


def misplaced(body: Body, statement: tree.Statement) -> SeqError:
    """S0406"""
    word = WORDS[type(statement)]
    place = {"cell": "a cell", "optimizer": "an optimizer", "fn": "a function"}[body.kind]
    return fail(
        "S0406", f"{place} has no `{word}`", statement.span, "does not belong here", hint=INSTEAD.get(word)
    )


def params(body: Body, node: tree.Param) -> None:
    """`param W, U: real[H, D] = glorot`"""
    for name in node.names:
        if body.dotted(name.text) == "__metadata__":
            raise fail(
                "S0110",
                "`__metadata__` is no name of a parameter",
                name.span,
                "files of weights have it for something else",
                hint="choose another, such as `metadata`",
            )

        def compute(definition: Definition) -> tuple[Meaning, ...]:
            return (param_value(body, node, definition.names[0]),)

        body.define(
            Entry(name.text, "param", name.span, Definition((name.text,), "param", name.span, node, compute))
        )


def param_value(body: Body, node: tree.Param, name: str) -> Meaning:
    """A parameter of the program, or what an override puts in its place."""
    shop, instance, dotted = body.shop, body.instance, body.dotted(name)
    wanted = written_type(body, node.type)
    if not wanted.kind.is_real:
        raise fail(
            "S0310",
            "a parameter is real",
            node.type.span,
            f"found {shown(wanted)}",
            hint="only reals can be learned",
        )
    known = instance.params.get(name) if instance is not None else None
    if isinstance(known, Dynamic):
        first = shop.builder.type(known.index)
        if first.dims != wanted.dims:
            raise fail(
                "S0304",
                "a layer that is used twice has one shape",
                body.call or node.span,
                f"here `{name}` would be {shown(wanted)}",
                others=(Label(instance.calls[0].call or node.span, f"here it is {shown(first)}"),)
                if instance is not None and instance.calls
                else (),
                hint="use two layers",
            )
        return known
    override = instance.override(name) if instance is not None else None
    if override is not None and draws.reads_run_time(override.body, override.value):
        assert instance is not None
        meaning = instance.read(override)
        return Dynamic(
            fit_declared(
                body, meaning, wanted, override.value.span, f"`{name}` of {body.title}", node.type.span
            )
        )
    source, value = (body, node.value) if override is None else (override.body, override.value)
    if override is None and draws.reads_run_time(body, node.value):
        raise fail(
            "S0310",
            "a parameter starts from numbers, sizes and draws",
            node.value.span,
            "reads a value at run time",
            hint="an equation may read it instead",
        )
    init = draws.initialiser(source, value)
    draws.check_size(init, wanted, value.span)
    found = Dynamic(shop.builder.add("param", type=wanted, name=dotted))
    shop.parameters[dotted] = Parameter(dotted, wanted, init, node.doc or "")
    if instance is not None:
        instance.params[name] = found
    return found


def states(body: Body, node: tree.State) -> None:
    """`state h, c = 0`; the equation joins later, if there is one."""
    for name in node.names:
        body.define(Entry(name.text, "state", name.span, None, node))


def layers(body: Body, node: tree.Layer) -> None:
    """`layer i, o = Gate(H)`: each name is a fresh instance."""
    for name in node.names:

        def compute(definition: Definition, name: tree.Name = name) -> tuple[Meaning, ...]:
            return (instances.bind_layer(body, name, node),)

        body.define(
            Entry(name.text, "layer", name.span, Definition((name.text,), "layer", name.span, node, compute))
        )


def equation(body: Body, node: tree.Equation) -> None:
    """`y = e` or `a, b = e`"""
    names = tuple(name.text for name in node.names)
    if len(set(names)) != len(names):
        again = next(name for i, name in enumerate(node.names) if name.text in names[:i])
        raise fail(
            "S0202",
            f"`{again.text}` is defined twice",
            again.span,
            "in one equation",
            hint="give each its own name",
        )

    def compute(_: Definition) -> tuple[Meaning, ...]:
        return equation_values(body, node)

    definition = Definition(names, "equation", node.span, node, compute)
    definition.after = lambda: finish_states(body, names)
    for name in node.names:
        first = body.entries.get(name.text)
        if first is not None and first.state is not None and first.definition is None:
            first.definition = definition
            continue
        try:
            body.define(Entry(name.text, "equation", name.span, definition))
        except SeqError as error:  # the other names are known, but have no value
            body.shop.problems.add(error)
            definition.status = Status.POISON


def finish_states(body: Body, names: Iterable[str]) -> None:
    """Closes the recurrences that an equation belongs to."""
    for name in names:
        entry = body.entries.get(name)
        if entry is not None and entry.state is not None:
            finish(body, entry)


def equation_values(body: Body, node: tree.Equation) -> tuple[Meaning, ...]:
    """The values of an equation, one for each name."""
    label(body, node.names[0].text, node.value)
    meaning = body.shop.evaluate(body, node.value)
    parts = list(taken_apart(body, node, meaning))
    results = {port.name.text: port for port in body.results}
    for place, name in enumerate(node.names):
        entry = body.entries[name.text]
        if entry.state is not None:
            parts[place] = next_value(body, entry, parts[place], node.value.span)
        if name.text in results:
            parts[place] = check_result(body, results[name.text], parts[place], node.value.span)
    return tuple(parts)


def taken_apart(body: Body, node: tree.Equation, meaning: Meaning) -> Iterator[Meaning]:
    """One meaning for each name of an equation."""
    count = len(node.names)
    if isinstance(meaning, Several):
        if len(meaning.items) != count:
            listed = ", ".join(meaning.names)
            raise fail(
                "S0311",
                f"this call has {len(meaning.items)} results",
                node.value.span,
                f"{count} on the left side" if count > 1 else "one name on the left side",
                hint=f"write `{listed} = …`",
            )
        yield from meaning.items
        return
    if count == 1:
        if not isinstance(meaning, Number | Numbers):
            meaning = Dynamic(as_value(body.shop, meaning, None, node.value.span))
        yield meaning
        return
    if isinstance(meaning, Numbers) and len(meaning.values) == count:
        yield from (Number(value) for value in meaning.values)
        return
    if not isinstance(meaning, Dynamic | Numbers):
        raise fail(
            "S0311",
            f"{count} names take a vector of {count} or as many results",
            node.value.span,
            f"found {describe(body.shop, meaning)}",
            hint=None,
        )
    value = as_value(body.shop, meaning, None, node.value.span)
    type = body.shop.builder.type(value)
    if type.dims[:1] != (count,):
        raise fail(
            "S0311",
            f"{count} names take a vector of {count} or as many results",
            node.value.span,
            f"found {shown(type)}",
            hint=None,
        )
    for place in range(count):
        yield Dynamic(body.shop.builder.pick(value, 0, (place,), drop=True))
