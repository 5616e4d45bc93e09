"""What each rule of the grammar becomes: the kept children of a production go in, a record of the Tree comes out.

`ACTIONS` leads from a rule's name in `seq.lark` to its function. Small checks that the grammar cannot make (chained
comparisons, what an override may name) add their message to the workshop and go on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from seqc.source.diagnostic import Diagnostic, Label
from seqc.source.span import Span
from seqc.source.suggest import nearest
from seqc.source.text import Source
from seqc.syntax import tree
from seqc.syntax.lexical import number_value
from seqc.syntax.tokens import Token

STATIC_KINDS = ("dim", "real", "fn", "cell", "flag")
_KIND_WORDS = {"int": "dim", "float": "real", "f32": "real", "f64": "real", "bool": "flag", "function": "fn"}
_ARITHMETIC = ("+", "-", "*", "/", "@", "^", "and", "or")

Kids = list[Any]


@dataclass(slots=True)
class Workshop:
    """What the actions share while one file is read: its comments by line, and the messages so far."""

    source: Source
    comments: dict[int, str]
    problems: list[Diagnostic] = field(default_factory=list)
    defined: set[str] = field(default_factory=set)
    time_picks: list[tree.Pick] = field(default_factory=list)

    def name(self, token: Token) -> tree.Name:
        return tree.Name(Span(self.source, token.start, token.end), token.text)

    def define(self, token: Token) -> tree.Name:
        self.defined.add(token.text)
        return self.name(token)

    def doc(self, span: Span) -> str | None:
        """The lines of comment directly above the line on which `span` begins, if it is the first thing there."""
        line = self.source.line_of(span.start)
        if self.source.text[self.source.line_start(line) : span.start].strip():
            return None
        lines: list[str] = []
        while line - 1 in self.comments:
            line -= 1
            lines.append(self.comments[line])
        return "\n".join(reversed(lines)) if lines else None

    def problem(self, code: str, title: str, span: Span, text: str = "", hint: str | None = None) -> None:
        self.problems.append(Diagnostic(code, title, Label(span, text), hint=hint))


Action = Callable[[Workshop, Kids, Span], Any]


# --- expressions ---------------------------------------------------------------------------------------------------


def _binary(shop: Workshop, kids: Kids, span: Span) -> tree.Binary:
    left, token, right = kids
    return tree.Binary(span, token.text, left, right, Span(shop.source, token.start, token.end))


def _unary(shop: Workshop, kids: Kids, span: Span) -> tree.Unary:
    return tree.Unary(span, kids[0].text, kids[1])


def _compare(shop: Workshop, kids: Kids, span: Span) -> tree.Binary:
    first = _binary(shop, kids[:3], kids[0].span.to(kids[2].span))
    if len(kids) > 3:
        a, b, c = (each.span.text if len(each.span.text) <= 30 else "…" for each in kids[:5:2])
        hint = f"write `{a} {kids[1].text} {b} and {b} {kids[3].text} {c}`"
        token = kids[3]
        place = Span(shop.source, token.start, token.end)
        shop.problem("S0113", "comparisons cannot be chained", place, "a second comparison", hint)
        return first
    return first


def _pipe(shop: Workshop, kids: Kids, span: Span) -> tree.Pipe:
    for stage in kids[1:]:
        if isinstance(stage, tree.Binary) and stage.operator in _ARITHMETIC and not _grouped(stage):
            _weak_pipe(shop, kids[0], stage)
    return tree.Pipe(span, kids[0], tuple(kids[1:]))


def _grouped(node: tree.Binary) -> bool:
    """Whether it stands in parentheses; what is wrong with it as a stage is then a matter of types."""
    return node.left.span.start != node.span.start


def _weak_pipe(shop: Workshop, value: tree.Expression, stage: tree.Binary) -> None:
    first: tree.Expression = stage
    while isinstance(first, tree.Binary):
        first = first.left
    piped, rest = Span(shop.source, value.span.start, first.span.end), stage.span
    hint = "put the pipe in parentheses"
    if len(piped.text) <= 40 and "\n" not in piped.text + rest.text:
        hint += f": `({piped.text}){rest.text[first.span.end - rest.start :]}`"
    title = f"`|>` binds weaker than `{stage.operator}`"
    shop.problem("S0118", title, rest, "all of this is taken as what `|>` applies", hint)


def _choose(shop: Workshop, kids: Kids, span: Span) -> tree.Choose:
    return tree.Choose(span, *kids)


def _call(shop: Workshop, kids: Kids, span: Span) -> tree.Call:
    return tree.Call(span, kids[0], tuple(each for each in kids[1:] if each is not None))


def _override(shop: Workshop, kids: Kids, span: Span) -> tree.Override:
    path: list[tree.Name] = []
    part = kids[0]
    while isinstance(part, tree.Member):
        path.append(part.name)
        part = part.value
    if isinstance(part, tree.Reference):
        path.append(tree.Name(part.span, part.name))
    else:
        hint = "left of `=` stands a dotted name: `LSTM(20, g.act = identity)`; a comparison is `==`"
        shop.problem("S0119", "this is not the name of a part", kids[0].span, "cannot be replaced", hint)
    return tree.Override(span, tuple(reversed(path)), kids[1])


def _reduce(shop: Workshop, kids: Kids, span: Span) -> tree.Reduce:
    function, value, axes, where = kids
    return tree.Reduce(span, function, value, tuple(shop.name(token) for token in axes), where)


def _pick(shop: Workshop, kids: Kids, span: Span) -> tree.Pick:
    node = tree.Pick(span, kids[0], tuple(kids[1:]))
    for index in node.indices:
        first = index.left if isinstance(index, tree.Binary) else index
        if isinstance(first, tree.Reference) and first.name == "t":
            shop.time_picks.append(node)
    return node


def _slice(shop: Workshop, kids: Kids, span: Span) -> tree.Slice:
    return tree.Slice(span, kids[0], kids[1])


def _member(shop: Workshop, kids: Kids, span: Span) -> tree.Member:
    return tree.Member(span, kids[0], shop.name(kids[1]))


def _reference(shop: Workshop, kids: Kids, span: Span) -> tree.Reference:
    return tree.Reference(span, kids[0].text)


def _number(shop: Workshop, kids: Kids, span: Span) -> tree.Number:
    return tree.Number(span, number_value(kids[0].text), kids[0].text)


def _string(shop: Workshop, kids: Kids, span: Span) -> tree.String:
    return _text(shop, kids[0])


def _text(shop: Workshop, token: Token) -> tree.String:
    return tree.String(Span(shop.source, token.start, token.end), token.text[1:-1])


def _prev(shop: Workshop, kids: Kids, span: Span) -> tree.Prev:
    return tree.Prev(span, shop.name(kids[0]))


def _group(shop: Workshop, kids: Kids, span: Span) -> Any:
    return replace(kids[0], span=span)


def _vector(shop: Workshop, kids: Kids, span: Span) -> tree.Vector:
    return tree.Vector(span, tuple(each for each in kids if each is not None))


# --- parts of declarations -----------------------------------------------------------------------------------------


def _type(shop: Workshop, kids: Kids, span: Span) -> tree.Type:
    return tree.Type(span, shop.name(kids[0]), kids[1], kids[2] or ())


def _static(shop: Workshop, kids: Kids, span: Span) -> tree.Static:
    name, kind, default = kids
    word = "dim" if kind is None else kind.text
    if word not in STATIC_KINDS:
        meant = _KIND_WORDS.get(word) or nearest(word, STATIC_KINDS)
        hint = f"write `{name.text}: {meant}`" if meant else "a bare name is a size"
        place = Span(shop.source, kind.start, kind.end)
        title = f"`{word}` is not a kind of argument"
        shop.problem("S0121", title, place, "one of dim, real, fn, cell, flag", hint)
    return tree.Static(span, shop.define(name), word, default)


def _port(shop: Workshop, kids: Kids, span: Span) -> tree.Port:
    return tree.Port(span, shop.define(kids[0]), kids[1])


def _binding(shop: Workshop, kids: Kids, span: Span) -> tree.Binding:
    return tree.Binding(span, shop.define(kids[0]), kids[1])


def _knob(shop: Workshop, kids: Kids, span: Span) -> tree.Knob:
    return tree.Knob(span, shop.define(kids[0]), kids[1], kids[2])


def _tuple(shop: Workshop, kids: Kids, span: Span) -> tuple[Any, ...]:
    return tuple(kids)


def _first(shop: Workshop, kids: Kids, span: Span) -> Any:
    return kids[0]


# --- statements ----------------------------------------------------------------------------------------------------


def _names(shop: Workshop, tokens: tuple[Token, ...]) -> tuple[tree.Name, ...]:
    return tuple(shop.define(token) for token in tokens)


def _dim(shop: Workshop, kids: Kids, span: Span) -> tree.Dim:
    return tree.Dim(span, shop.doc(span), tuple(kids))


def _hyper(shop: Workshop, kids: Kids, span: Span) -> tree.Hyper:
    return tree.Hyper(span, shop.doc(span), tuple(kids))


def _input(shop: Workshop, kids: Kids, span: Span) -> tree.Input:
    name, type_, once, default = kids
    return tree.Input(span, shop.doc(span), shop.define(name), type_, once is not None, default)


def _target(shop: Workshop, kids: Kids, span: Span) -> tree.Target:
    return tree.Target(span, shop.doc(span), shop.define(kids[0]), kids[1], kids[2] is not None)


def _output(shop: Workshop, kids: Kids, span: Span) -> tree.Output:
    return tree.Output(span, shop.doc(span), shop.define(kids[0]), kids[1])


def _param(shop: Workshop, kids: Kids, span: Span) -> tree.Param:
    return tree.Param(span, shop.doc(span), _names(shop, kids[0]), kids[1], kids[2])


def _state(shop: Workshop, kids: Kids, span: Span) -> tree.State:
    return tree.State(span, shop.doc(span), _names(shop, kids[0]), kids[1], kids[2])


def _layer(shop: Workshop, kids: Kids, span: Span) -> tree.Layer:
    return tree.Layer(span, shop.doc(span), _names(shop, kids[0]), kids[1])


def _until(shop: Workshop, kids: Kids, span: Span) -> tree.Until:
    return tree.Until(span, shop.doc(span), kids[0])


def _loss(shop: Workshop, kids: Kids, span: Span) -> tree.Loss:
    return tree.Loss(span, shop.doc(span), Span(shop.source, kids[0].start, kids[0].end), kids[1])


def _metric(shop: Workshop, kids: Kids, span: Span) -> tree.Metric:
    return tree.Metric(span, shop.doc(span), shop.define(kids[0]), kids[1])


def _equation(shop: Workshop, kids: Kids, span: Span) -> tree.Equation:
    return tree.Equation(span, shop.doc(span), _names(shop, kids[0]), kids[1])


# --- items ---------------------------------------------------------------------------------------------------------


def _use(shop: Workshop, kids: Kids, span: Span) -> tree.Use:
    names = _names(shop, tuple(kids[1:]))
    if isinstance(kids[0], Token):
        return tree.Use(span, shop.doc(span), (), _text(shop, kids[0]), names)
    return tree.Use(span, shop.doc(span), tuple(shop.name(token) for token in kids[0]), None, names)


def _const(shop: Workshop, kids: Kids, span: Span) -> tree.Const:
    return tree.Const(span, shop.doc(span), tuple(kids))


def _fn(shop: Workshop, kids: Kids, span: Span) -> tree.Fn:
    name, ports, results, *equations = kids
    return tree.Fn(span, shop.doc(span), shop.define(name), ports or (), results, tuple(equations), None)


def _short(shop: Workshop, kids: Kids, span: Span) -> tree.Fn:
    name, ports, value = kids
    return tree.Fn(span, shop.doc(span), shop.define(name), ports or (), (), (), value)


def _cell(shop: Workshop, kids: Kids, span: Span) -> tree.Cell:
    name, statics, ports, results, *body = kids
    return tree.Cell(
        span, shop.doc(span), shop.define(name), statics or (), ports or (), results, tuple(body)
    )


def _optimizer(shop: Workshop, kids: Kids, span: Span) -> tree.Optimizer:
    name, statics, ports, *body = kids
    return tree.Optimizer(span, shop.doc(span), shop.define(name), statics or (), ports, tuple(body))


def _model(shop: Workshop, kids: Kids, span: Span) -> tree.Model:
    return tree.Model(span, shop.doc(span), shop.define(kids[0]), tuple(kids[1:]))


def _train(shop: Workshop, kids: Kids, span: Span) -> tree.Train:
    return tree.Train(span, shop.doc(span), shop.name(kids[0]), tuple(kids[1:]))


def _deploy(shop: Workshop, kids: Kids, span: Span) -> tree.Deploy:
    return tree.Deploy(span, shop.doc(span), shop.define(kids[0]), shop.name(kids[1]), tuple(kids[2:]))


EXPRESSIONS: dict[str, Action] = {
    "choose": _choose,
    "pipe": _pipe,
    "binary": _binary,
    "unary": _unary,
    "compare": _compare,
    "call": _call,
    "override": _override,
    "reduce": _reduce,
    "pick": _pick,
    "slice": _slice,
    "member": _member,
    "reference": _reference,
    "number": _number,
    "string": _string,
    "prev": _prev,
    "group": _group,
    "vector": _vector,
}

ACTIONS: dict[str, Action] = EXPRESSIONS | {
    "type": _type,
    "bound": _first,
    "sizes": _tuple,
    "names": _tuple,
    "path": _tuple,
    "kind": _first,
    "static": _static,
    "statics": _tuple,
    "port": _port,
    "ports": _tuple,
    "binding": _binding,
    "knob": _knob,
    "dim": _dim,
    "hyper": _hyper,
    "input": _input,
    "target": _target,
    "output": _output,
    "param": _param,
    "state": _state,
    "layer": _layer,
    "until": _until,
    "loss": _loss,
    "metric": _metric,
    "equation": _equation,
    "use": _use,
    "const": _const,
    "fn": _fn,
    "short": _short,
    "cell": _cell,
    "optimizer": _optimizer,
    "model": _model,
    "train": _train,
    "deploy": _deploy,
    "start": _tuple,
}
