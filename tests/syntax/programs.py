"""Programs for the tests of this room: those of the examples and of the library, and random ones as text."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

ROOT = Path(__file__).parent.parent.parent
FILES = sorted([*(ROOT / "examples").glob("*.seq"), *(ROOT / "seqc" / "std").glob("*.seq")])

names = st.sampled_from(["a", "b", "x", "h", "LSTM", "gate", "W2", "step", "_y", "overlap", "input_"])
numbers = st.sampled_from(["0", "1", "20_000", "1e-3", "0.5", "2.5e+10", "9_223_372_036_854_775_807"])


def _joined(parts: list[str], by: str = ", ") -> str:
    return by.join(parts)


def _in_parentheses(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return inner.map(lambda text: f"({text})")


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Expressions that hold smaller ones; an operand in parentheses needs no rule of precedence."""
    operand = st.one_of(names, numbers, _in_parentheses(inner))
    binary = st.sampled_from(["+", "-", "*", "/", "@", "^", "<", "<=", "==", "!=", "and", "or", "|>"])
    path = st.lists(names, min_size=1, max_size=3).map(lambda parts: ".".join(parts))
    override = st.tuples(path, inner).map(lambda pair: f"{pair[0]} = {pair[1]}")
    arguments = st.lists(st.one_of(inner, override), max_size=3).map(_joined)
    ends = st.one_of(st.just(""), inner)
    index = st.one_of(inner, st.tuples(ends, ends).map(lambda pair: f"{pair[0]}:{pair[1]}"))
    indices = st.lists(index, min_size=1, max_size=2).map(_joined)
    axes = st.sampled_from(["time", "batch", "time, batch"])
    where = st.one_of(st.just(""), inner.map(lambda text: f" where {text}"))
    return st.one_of(
        st.tuples(operand, binary, operand).map(" ".join),
        operand.map(lambda text: f"-{text}"),
        operand.map(lambda text: f"not {text}"),
        st.tuples(names, arguments).map(lambda pair: f"{pair[0]}({pair[1]})"),
        st.tuples(operand, indices).map(lambda pair: f"({pair[0]})[{pair[1]}]"),
        st.tuples(operand, names).map(lambda pair: f"({pair[0]}).{pair[1]}"),
        st.lists(inner, max_size=3).map(lambda parts: f"[{_joined(parts)}]"),
        st.tuples(names, inner, axes, where).map(lambda parts: "{}({} over {}{})".format(*parts)),
        st.tuples(inner, inner, inner).map(lambda parts: "if {} then {} else {}".format(*parts)),
    )


atoms = st.one_of(names, numbers, names.map(lambda name: f"prev {name}"), st.just('"some text"'))
expressions = st.recursive(atoms, _larger, max_leaves=8)
types = st.one_of(
    st.sampled_from(["real", "int", "bool", "length"]),
    st.lists(expressions, min_size=1, max_size=2).map(lambda sizes: f"real[{_joined(sizes)}]"),
    expressions.map(lambda bound: f"index({bound})"),
)
several = st.lists(names, min_size=1, max_size=3).map(_joined)
bindings = st.tuples(names, expressions).map(" = ".join)
equations = st.tuples(several, expressions).map(" = ".join)
ports = st.lists(st.one_of(names, st.tuples(names, types).map(": ".join)), min_size=1, max_size=3).map(
    _joined
)
knobs = st.tuples(names, st.one_of(st.just(""), types.map(lambda text: f": {text}")), expressions).map(
    lambda parts: f"{parts[0]}{parts[1]} = {parts[2]}"
)
statements = st.one_of(
    equations,
    st.lists(bindings, min_size=1, max_size=2).map(lambda parts: f"dim {_joined(parts)}"),
    st.lists(knobs, min_size=1, max_size=2).map(lambda parts: f"hyper {_joined(parts)}"),
    st.tuples(names, types, st.sampled_from(["", " once", " = 0", " once = 1"])).map(
        lambda parts: f"input {parts[0]}: {parts[1]}{parts[2]}"
    ),
    st.tuples(names, types, st.sampled_from(["", " once"])).map(
        lambda parts: f"target {parts[0]}: {parts[1]}{parts[2]}"
    ),
    names.map(lambda name: f"output {name}"),
    bindings.map(lambda text: f"output {text}"),
    st.tuples(several, types, expressions).map(lambda parts: "param {}: {} = {}".format(*parts)),
    equations.map(lambda text: f"state {text}"),
    st.tuples(several, types, expressions).map(lambda parts: "state {}: {} = {}".format(*parts)),
    equations.map(lambda text: f"layer {text}"),
    expressions.map(lambda text: f"until {text}"),
    expressions.map(lambda text: f"loss = {text}"),
    bindings.map(lambda text: f"metric {text}"),
)
statics = st.lists(
    st.tuples(
        names,
        st.sampled_from(["", ": fn", ": real", ": cell", ": dim", ": flag"]),
        st.one_of(st.just(""), expressions.map(lambda text: f" = {text}")),
    ).map("".join),
    max_size=2,
).map(_joined)

_comment = st.sampled_from(["", "", "", "  # a word", "\n# above\n# all of it\n", "\n\n\n", "\n", "   "])


@st.composite
def _body(draw: st.DrawFn, parts: st.SearchStrategy[str]) -> str:
    """Braces around statements, laid out at random."""
    text = "{"
    for part in draw(st.lists(parts, max_size=5)):
        text += draw(_comment) + draw(st.sampled_from(["\n", "\n  ", "\n\t", "\n\n"])) + part
    return text + draw(_comment) + draw(st.sampled_from(["\n", "\n  "])) + "}"


items = st.one_of(
    st.sampled_from(
        ["use std.cells: LSTM", "use std.cells: Dense,\n  LSTM", 'use "my/cells.seq": Fast, Slow']
    ),
    st.lists(bindings, min_size=1, max_size=2).map(lambda parts: f"const {_joined(parts)}"),
    st.tuples(names, ports, expressions).map(lambda parts: "fn {}({}) = {}".format(*parts)),
    st.tuples(names, ports, ports, _body(equations)).map(lambda parts: "fn {}({}) -> {} {}".format(*parts)),
    st.tuples(names, statics, ports, ports, _body(statements)).map(
        lambda parts: "cell {}({})({}) -> {} {}".format(*parts)
    ),
    st.tuples(names, statics, _body(statements)).map(
        lambda parts: "optimizer {}({})(w, g) {}".format(*parts)
    ),
    st.tuples(names, _body(statements)).map(lambda parts: "model {} {}".format(*parts)),
    st.tuples(names, _body(bindings)).map(lambda parts: "train {} {}".format(*parts)),
    st.tuples(names, names, _body(bindings)).map(lambda parts: "deploy {} of {} {}".format(*parts)),
)


@st.composite
def programs(draw: st.DrawFn) -> str:
    """A file of random items with comments between them, laid out at random."""
    text = ""
    for item in draw(st.lists(items, min_size=1, max_size=4)):
        text += draw(_comment) + "\n" + item
    return text + draw(_comment)
