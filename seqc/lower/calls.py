"""Calls of functions, cells and layers, by `f(x)` and by `x |> f`: bodies opened, ports bound, results taken.

A function or cell is read in a body of its own each time that it is called; a layer's parameters are shared.
"""

from __future__ import annotations

from seqc.lower import declare, draws, reducers, walk
from seqc.lower.arithmetic import as_value, brief, describe, type_of
from seqc.lower.body import Body, Definition, Entry, Status
from seqc.lower.builtins import FUNCTIONS, INITIALISERS, REDUCERS, Given, apply, extreme
from seqc.lower.cells import (
    CellValue,
    Instance,
    Level,
    addressable,
    cell_value,
    counted,
    deep_check,
    fit_static,
    no_part,
    signature,
)
from seqc.lower.meaning import (
    Builtin,
    CellName,
    Dynamic,
    LayerOf,
    Meaning,
    Number,
    OptimizerName,
    Poisoned,
    Several,
    UserFunction,
    kind_word,
)
from seqc.lower.names import Module
from seqc.lower.idle import warn
from seqc.lower.order import run
from seqc.lower.sizes import Wanted, fit_port, kind_error, kind_of, referred
from seqc.source.diagnostic import SeqError, fail
from seqc.source.span import Span
from seqc.source.suggest import nearest
from seqc.syntax import tree


def call(body: Body, node: tree.Call) -> Meaning:
    """`f(a, b)`"""
    function = body.shop.evaluate(body, node.function)
    if isinstance(function, CellName):
        return cell_value(body, function, node)
    if isinstance(function, OptimizerName):
        raise fail("S0204", "an optimizer stands in a `train` record only", node.span, "not here", hint=None)
    if node.overrides:
        each = node.overrides[0]
        raise fail("S0303", f"{kind_word(function)} takes its arguments by position", each.span, "given by name", hint=f"write `{brief(each.value.span)}` alone" if brief(each.value.span) != "…" else None)
    if isinstance(function, Builtin):
        return builtin(body, function.name, node)
    given = [(body.shop.evaluate(body, each), each.span) for each in node.positional]
    return applied(body, function, given, node.function, node, list(node.positional))


def builtin(body: Body, name: str, node: tree.Call) -> Meaning:
    """A function that the compiler knows."""
    if name in draws.DRAWS:
        return draws.draw(body, name, node)
    if name == "categorical":
        return draws.categorical(body, node)
    given = [(body.shop.evaluate(body, each), each.span) for each in node.positional]
    return known(body, name, given, node)


def known(body: Body, name: str, given: Given, node: tree.Expression) -> Meaning:
    """A built-in function or reducer on evaluated arguments."""
    if name in INITIALISERS:
        raise fail("S0204", f"`{name}` is an initialiser", node.span, "not a function", hint="it stands right of `=` in a `param`")
    if name in draws.DRAWS or name == "categorical":
        raise fail("S0312", f"`{name}` draws and takes no pipe", node.span, "piped into", hint=f"write `{name}(…)`")
    if name in ("max", "min") and len(given) == 2:
        return extreme(body, name, given, node)
    if name in REDUCERS:
        return reducers.own_dims(body, name, given, node)
    return apply(body, name, given, node)


def pipe(body: Body, node: tree.Pipe) -> Meaning:
    """`x |> f |> g`"""
    meaning, span, source = body.shop.evaluate(body, node.value), node.value.span, node.value
    for stage in node.stages:
        check_stage(body, stage)
        function = body.shop.evaluate(body, stage)
        given: Given = [(meaning, span)]
        if isinstance(meaning, Several):
            raise fail("S0312", f"a pipe carries one value, not {len(meaning.items)} results", span, f"has {len(meaning.items)} results", hint="take them apart first: `a, b = …`")
        if isinstance(function, Builtin):
            meaning = known(body, function.name, given, stage)
        else:
            meaning = applied(body, function, given, stage, stage, [source], piped=True)
        span, source = stage.span, stage
    return meaning


def check_stage(body: Body, stage: tree.Expression) -> None:
    """S0312 where a function is called in a pipe: its call would lack an argument."""
    if not isinstance(stage, tree.Call) or not isinstance(stage.function, tree.Reference):
        return
    found = peek(body, stage.function.name)
    if isinstance(found, UserFunction | Builtin):
        arguments = ", ".join(brief(each.span) for each in stage.arguments)
        name = stage.function.name
        raise fail("S0312", "a pipe leads into a function, a layer or a cell", stage.span, "is the result of a call", hint=f"write the call itself: `{name}(x, {arguments})`" if arguments else f"write `{name}` without brackets")


def peek(body: Body, name: str) -> Meaning | None:
    """What a name means, without evaluating anything: functions and cells only."""
    entry = body.entries.get(name)
    if entry is not None:
        if entry.kind == "static" and entry.definition is not None and entry.definition.status is Status.DONE:
            return entry.definition.meanings[0]
        return None
    for module in (body.module, body.shop.library.prelude):
        original, place = name, module
        while original in place.imports and place.imports[original][1]:
            place, original = place.imports[original]
        if original in place.meanings:
            return place.meanings[original]
        if original in place.consts:
            return None
    return Builtin(name) if name in FUNCTIONS or name in REDUCERS else None


def cell_word(body: Body, node: tree.Expression) -> str | None:
    """The name of the cell that an expression makes an instance of; None where it is something else."""
    if isinstance(node, tree.Call) and isinstance(node.function, tree.Reference):
        found = peek(body, node.function.name)
        return found.node.name.text if isinstance(found, CellName) else None
    if isinstance(node, tree.Reference):
        found = peek(body, node.name)
        return found.node.name.text if isinstance(found, CellValue) else None
    return None


def applied(body: Body, function: Meaning, given: Given, place: tree.Expression, node: tree.Expression, sources: list[tree.Expression], piped: bool = False) -> Meaning:
    """A function, cell or layer on its arguments."""
    if isinstance(function, UserFunction):
        return call_function(body, function, given, place, node, sources, piped)
    if isinstance(function, CellName):
        hint = f"give it its sizes: `x |> {signature(function.node)}`" if function.node.statics else f"write `x |> {function.node.name.text}()`"
        raise fail("S0204", f"`{function.node.name.text}` is a cell without its sizes", place.span, "not yet a layer", hint=hint)
    if isinstance(function, CellValue):
        if body.kind == "fn":
            raise fail("S0406", "a function has no layers", place.span, "would need parameters or memory", hint="write a cell")
        name = body.labels.get(id(place), function.node.name.text.lower())
        instance = new_instance(body, name, function, place.span, ())
        body.anonymous[instance.path] = instance
        return call_instance(body, instance, given, place.span, sources, piped)
    if isinstance(function, LayerOf):
        return call_instance(body, function.instance, given, place.span, sources, piped)
    word = describe(body.shop, function)
    if piped:
        raise fail("S0312", "a pipe leads into a function, a layer or a cell", place.span, f"found {word}", hint=None)
    hint = "to multiply write `*`" if isinstance(function, Number | Dynamic) else None
    raise fail("S0204", "this cannot be called", place.span, f"is {word}", hint=hint)


def new_instance(body: Body, name: str, cell: CellValue, span: Span, levels: tuple[Level, ...]) -> Instance:
    """An instance of a cell value in a body; `levels` are overrides from further out."""
    own = tuple((closure.path, closure) for closure in cell.overrides)
    path = body.dotted(name)
    instance = Instance(name, cell, (*levels, own), body, span, path)
    instance.make = open_body
    for level in instance.levels:
        for each, closure in level:
            check_part(instance, each, closure.path)
    return instance


def check_part(instance: Instance, path: tuple[tree.Name, ...], whole: tuple[tree.Name, ...]) -> None:
    """S0203 for an override that came from further out and names nothing here."""
    known = addressable(instance.cell.node)
    if path[0].text not in known:
        near = nearest(path[0].text, known)
        before = whole[: len(whole) - len(path)]
        raise no_part(instance.cell.node, path[0], ".".join([*(each.text for each in before), near]) if near else None)


def bind_layer(body: Body, name: tree.Name, node: tree.Layer) -> Meaning:
    """`layer i = Gate(H)`: what an override puts in its place, or what the declaration says."""
    override = body.instance.override(name.text) if body.instance is not None else None
    levels = body.instance.below(name.text) if body.instance is not None else ()
    if override is None:
        declare.label(body, name.text, node.value)
    value = node.value if override is None else override.value
    meaning = body.shop.evaluate(body, node.value) if override is None or body.instance is None else body.instance.read(override)
    if isinstance(meaning, CellName):
        hint = f"give it its sizes: `{signature(meaning.node)}`" if meaning.node.statics else f"write `{meaning.node.name.text}()`"
        raise fail("S0204", "a layer is a cell with its sizes", value.span, "a cell without its sizes", hint=hint)
    if not isinstance(meaning, CellValue):
        hint = "a value is an equation: leave out `layer`" if isinstance(meaning, Dynamic) else None
        raise fail("S0204", "a layer is a cell with its sizes", value.span, f"found {describe(body.shop, meaning)}", hint=hint)
    instance = new_instance(body, name.text, meaning, value.span, levels)
    instance.expected = bool(body.callers.get(name.text))
    return LayerOf(instance)


def open_body(instance: Instance) -> Body:
    """The body of a cell, its statics bound and its statements declared; its ports are still waited for."""
    cell, owner = instance.cell, instance.owner
    node = cell.node
    body = Body(owner.shop, cell.module, "cell", node.name.text, instance.path, owner, instance.span, owner.depth + 1)
    deep_check(body)
    body.instance, body.ports, body.results, body.place = instance, node.ports, node.results, owner.shop.place
    body.waiting = waiting_names(node.ports, cell.module, {static.name.text for static in node.statics})
    bind_statics(body, instance)
    try:
        for port in node.ports:
            body.waiting.add(port.name.text)
        declare.declare(body, node.body)
    except Poisoned:
        pass
    body.callers = callers(body)
    return body


def waiting_names(ports: tuple[tree.Port, ...], module: Module, known: set[str]) -> set[str]:
    """The sizes that the ports will bring."""
    found: set[str] = set()
    for port in ports:
        if port.type is None:
            continue
        for each in (*port.type.sizes, *((port.type.bound,) if port.type.bound is not None else ())):
            found.update(name for name in referred(each) if name not in known and name not in module.consts and name not in module.imports)
    return found


def bind_statics(body: Body, instance: Instance) -> None:
    """The statics of an instance: overridden from outside, given, or their defaults."""
    node = instance.cell.node
    for static in node.statics:
        name = static.name.text
        override = instance.override(name)
        if override is not None:
            meaning = fit_static(override.body, node, static, instance.read(override), override.value.span)
        elif name in instance.cell.statics:
            meaning = instance.cell.statics[name]
        else:
            assert static.default is not None
            meaning = fit_static(body, node, static, body.shop.evaluate(body, static.default), static.default.span)
        body.bind(name, "static", static.name.span, meaning)


def callers(body: Body) -> dict[str, list[Definition]]:
    """For each layer the definitions that call it."""
    found: dict[str, list[Definition]] = {}
    for entry in body.entries.values():
        definition = entry.definition
        if definition is None or not hasattr(definition.node, "value"):
            continue
        for each in walk.nodes(definition.node.value):
            called = (each.function,) if isinstance(each, tree.Call) else each.stages if isinstance(each, tree.Pipe) else ()
            for function in called:
                if isinstance(function, tree.Reference) and function.name in body.entries:
                    users = found.setdefault(function.name, [])
                    if definition not in users:
                        users.append(definition)
    return found


def call_instance(body: Body, instance: Instance, given: Given, span: Span, sources: list[tree.Expression], piped: bool) -> Meaning:
    """A layer on its inputs."""
    node = instance.cell.node
    check_count(f"`{node.name.text}`", node.ports, given, span, piped, instance.name)
    inside = instance.body() if not instance.calls else open_body(instance)
    inside.parent, inside.call, inside.depth = body, span, body.depth + 1
    if instance.calls and has_state(inside):
        raise fail("S0401", f"`{instance.name}` has memory and is called twice", span, "a second call", hint="a layer with memory is called once; declare two layers")
    instance.calls.append(inside)
    body.shop.called.append(instance)
    inside.place = body.shop.place
    inside.lifted = body.lifted
    bind_ports(inside, node.ports, given, sources, body, f"`{node.name.text}`")
    run(inside)
    warn(inside)
    return results(inside)


def has_state(body: Body) -> bool:
    """Whether a cell has memory of its own or in its layers."""
    if any(entry.state is not None for entry in body.entries.values()):
        return True
    for entry in body.entries.values():
        if entry.kind == "layer" and entry.definition is not None:
            try:
                meaning = body.ask(entry, None)
            except Poisoned:
                continue
            if isinstance(meaning, LayerOf) and has_state(meaning.instance.body()):
                return True
    return any(has_state(each.body()) for each in body.anonymous.values())


def check_count(title: str, ports: tuple[tree.Port, ...], given: Given, span: Span, piped: bool, name: str) -> None:
    """S0303 or S0312 where the number of arguments is not that of the ports."""
    if len(given) == len(ports):
        return
    listed = ", ".join(port.name.text for port in ports)
    if piped:
        raise fail("S0312", f"{title} has {counted(len(ports), 'port')}", span, "a pipe brings one value", hint=f"write `{name if name.isidentifier() else brief(span)}({listed})`, with each port given")
    place = given[len(ports)][1] if len(given) > len(ports) else span
    raise fail("S0303", f"{title} takes {counted(len(ports), 'value')}", place, "one too many" if len(given) > len(ports) else f"found {len(given)}", hint=f"its ports are `{listed}`" if ports else None)


def bind_ports(inside: Body, ports: tuple[tree.Port, ...], given: Given, sources: list[tree.Expression], caller: Body, owner: str) -> None:
    """Fits each argument to its port and enters it; after a mistake the ports are there, but unreadable."""
    try:
        for port, (meaning, span), source in zip(ports, given, sources, strict=True):
            inside.waiting.discard(port.name.text)
            if port.type is None:
                fitted = meaning if isinstance(meaning, Number) else Dynamic(as_value(caller.shop, meaning, None, span))
            else:
                if inside.lifted_ports and not isinstance(meaning, Number):
                    fitted = lifted_port(inside, port, meaning, span, owner)
                else:
                    fitted = fit_port(inside, Wanted(port.name.text, port.type, owner), meaning, span, advice(caller, source, meaning))
            inside.bind(port.name.text, "port", port.name.span, fitted)
    except (SeqError, Poisoned):
        for port in ports:
            if port.name.text not in inside.entries:
                inside.waiting.discard(port.name.text)
                poison = Definition((port.name.text,), "port", port.name.span, None, lambda _: (), None, Status.POISON)
                inside.entries[port.name.text] = Entry(port.name.text, "port", port.name.span, poison)
        raise
    inside.waiting.clear()


def advice(caller: Body, source: tree.Expression, meaning: Meaning) -> tuple[str, ...]:
    """What to do with a vector where a scalar is wanted: where it comes from, and how to pick."""
    type = type_of(caller.shop, meaning)
    if type is None or len(type.dims) != 1 or not isinstance(source, tree.Reference):
        return ()
    words = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
    count = words.get(type.dims[0], str(type.dims[0]))
    entry = caller.entries.get(source.name)
    origin = ""
    if entry is not None and entry.definition is not None and isinstance(entry.definition.node, tree.Equation):
        value = entry.definition.node.value
        if isinstance(value, tree.Pipe):
            origin = f", from `{brief(value.stages[-1].span)}` on line {value.stages[-1].span.line}"
    return (f"`{source.name}` has {count} component{'s' if type.dims[0] > 1 else ''}{origin}; pick one: `{source.name}[0]`",)


def lifted_port(inside: Body, port: tree.Port, meaning: Meaning, span: Span, owner: str) -> Meaning:
    """The argument of a lifted function: any shape of the port's kind."""
    assert port.type is not None
    type = type_of(inside.shop, meaning)
    kind = kind_of(port.type)
    value = as_value(inside.shop, meaning, kind, span)
    found = inside.shop.builder.type(value)
    if type is None or found.kind is not kind:
        raise kind_error(Wanted(port.name.text, port.type, owner), found, span)
    return Dynamic(value)


def call_function(body: Body, function: UserFunction, given: Given, place: tree.Expression, node: tree.Expression, sources: list[tree.Expression], piped: bool) -> Meaning:
    """A `fn` on its arguments, read in a body of its own."""
    fn = function.node
    inside = Body(body.shop, function.module, "fn", fn.name.text, body.path, body, place.span, body.depth + 1)
    deep_check(inside)
    check_count(f"`{fn.name.text}`", fn.ports, given, place.span, piped, fn.name.text)
    inside.ports, inside.results, inside.place = fn.ports, fn.results, body.shop.place
    shapes = [type.dims for type in (type_of(body.shop, meaning) for meaning, _ in given) if type is not None and type.dims]
    inside.lifted_ports = bool(shapes) and liftable(fn)
    inside.lifted = body.lifted or inside.lifted_ports
    if inside.lifted_ports and any(shape != shapes[0] for shape in shapes):
        dims = [getattr(type_of(body.shop, meaning), "dims", ()) for meaning, _ in given]
        second = next(i for i, each in enumerate(dims) if each not in ((), shapes[0]))
        raise fail("S0304", f"`{fn.name.text}` is lifted over one shape", given[second][1], f"found {describe(body.shop, given[second][0])}", notes=("a scalar goes with any shape, otherwise all shapes must be equal",))
    bind_ports(inside, fn.ports, given, sources, body, f"`{fn.name.text}`")
    if fn.value is not None:
        try:
            meaning = body.shop.evaluate(inside, fn.value)
        except SeqError as error:
            raise inside.with_calls(error) from None
        return meaning
    declare.declare(inside, fn.equations)
    run(inside)
    return results(inside)


def liftable(fn: tree.Fn) -> bool:
    """Whether all ports of a function are scalars."""
    return all(port.type is not None and not port.type.sizes for port in fn.ports) and bool(fn.ports)


def results(inside: Body) -> Meaning:
    """The results of a body, in the order of its ports."""
    items: list[Meaning] = []
    for port in inside.results:
        entry = inside.entries.get(port.name.text)
        if entry is None or entry.kind in ("port", "static", "size", "param", "layer"):
            hint = f"write `{port.name.text} = …`" if entry is None else f"`{port.name.text}` is something else here; give the result another name"
            error = fail("S0211", f"`{inside.title}` does not say what `{port.name.text}` is", port.name.span, "a result without equation", hint=hint)
            inside.shop.problems.add(error)
            raise Poisoned
        entry.read = True
        items.append(inside.shop.evaluate(inside, tree.Reference(port.name.span, port.name.text)))
    if len(items) == 1:
        return items[0]
    return Several(tuple(port.name.text for port in inside.results), tuple(items))
