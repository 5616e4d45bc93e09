"""The parser: what the Tree holds, limits, and that nothing but SeqError ever comes out of it."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from seqc.source.decode import from_bytes
from seqc.source.diagnostic import SeqError
from seqc.source.text import Source
from seqc.syntax import tree
from seqc.syntax.format import format
from seqc.syntax.parse import parse
from tests.syntax.programs import FILES, ROOT


def expression(text: str) -> tree.Expression:
    file = parse(Source("test.seq", f"fn f(x) = {text}"))
    item = file.items[0]
    assert isinstance(item, tree.Fn) and item.value is not None
    return item.value


def drawn(node: object) -> str:
    """An expression with all its parentheses, operators in front."""
    match node:
        case tree.Binary():
            return f"({node.operator} {drawn(node.left)} {drawn(node.right)})"
        case tree.Unary():
            return f"({node.operator} {drawn(node.value)})"
        case tree.Pipe():
            return f"(|> {' '.join(map(drawn, (node.value, *node.stages)))})"
        case tree.Reference():
            return node.name
        case tree.Prev():
            return f"(prev {node.name})"
        case tree.Member():
            return f"(. {drawn(node.value)} {node.name})"
        case tree.Number():
            return node.text
        case tree.Choose():
            return f"(if {drawn(node.condition)} {drawn(node.then)} {drawn(node.otherwise)})"
    return type(node).__name__


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("a + b * c ^ 2 - d", "(- (+ a (* b (^ c 2))) d)"),
        ("-a ^ 2", "(- (^ a 2))"),
        ("a ^ -b ^ c", "(^ a (- (^ b c)))"),
        ("a * -b", "(* a (- b))"),
        ("not a and b or c", "(or (and (not a) b) c)"),
        ("a - b - c", "(- (- a b) c)"),
        ("a < b and c >= d + 1", "(and (< a b) (>= c (+ d 1)))"),
        ("x |> f |> g", "(|> x f g)"),
        ("(x |> f) |> g", "(|> (|> x f) g)"),
        ("a + b |> f", "(|> (+ a b) f)"),
        ("prev a.b", "(. (prev a) b)"),
        ("if a then b else if c then d else e + 1", "(if a b (if c d (+ e 1)))"),
        ("W @ x + b", "(+ (@ W x) b)"),
    ],
)
def test_precedence(text: str, meaning: str) -> None:
    assert drawn(expression(text)) == meaning


def test_every_node_stands_where_it_was_read() -> None:
    node = expression("(a + b) * f(c over time where d)[0]")
    assert isinstance(node, tree.Binary) and isinstance(node.right, tree.Pick)
    assert node.left.span.text == "(a + b)"
    assert node.operator_span.text == "*"
    assert node.right.value.span.text == "f(c over time where d)"


def test_a_comment_directly_above_is_documentation() -> None:
    text = "# not this\n\n# the model\n#  of all\nmodel M {\n  # a size\n  dim H = 3  # nor this\n  dim K = 4\n}\n"
    model = parse(Source("test.seq", text)).items[0]
    assert isinstance(model, tree.Model)
    assert model.doc == "the model\n of all"
    assert [each.doc for each in model.body] == ["a size", None]


def test_integers_and_reals() -> None:
    values = [expression(text) for text in ("20_000", "1e3", "0.5", "9223372036854775807")]
    assert [each.value for each in values if isinstance(each, tree.Number)] == [20000, 1000.0, 0.5, 2**63 - 1]


def test_the_words_of_a_declaration_are_kept_apart() -> None:
    text = "model M { input x: real[2, H] once = 3  state a, b: index(V) = 0  until a == 1 }"
    model = parse(Source("test.seq", text)).items[0]
    assert isinstance(model, tree.Model)
    first, second, third = model.body
    assert isinstance(first, tree.Input) and first.once and first.default is not None
    assert isinstance(second, tree.State) and second.type is not None and second.type.bound is not None
    assert [name.text for name in second.names] == ["a", "b"]
    assert isinstance(third, tree.Until)


def test_overrides_and_arguments_keep_their_order() -> None:
    call = expression("LSTM(20, g.act = identity, h)")
    assert isinstance(call, tree.Call)
    assert [each.dotted for each in call.overrides] == ["g.act"]
    assert [drawn(each) for each in call.positional] == ["20", "h"]


HOSTILE = {
    "parentheses": "(" * 10_000 + "x" + ")" * 10_000,
    "open parentheses": "(" * 10_000,
    "minus signs": "-" * 10_000 + "x",
    "a long sum": " + ".join(["x"] * 20_000),
    "vectors": "[" * 10_000 + "]" * 10_000,
    "calls": "f(" * 10_000 + "x" + ")" * 10_000,
    "members": "x" + ".a" * 20_000,
    "choices": "if a then b else " * 10_000 + "c",
    "powers": "a^" * 10_000 + "a",
    "rubbish": "$" * 50_000,
    "a long name": "x" * 900_000,
    "a long text": '"' + "x" * 900_000 + '"',
    "numbers without operators": "1 " * 50_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_refused_quickly(name: str) -> None:
    started = time.process_time()
    with pytest.raises(SeqError) as caught:
        parse(Source("test.seq", "model M { y = " + HOSTILE[name] + " }"))
    assert time.process_time() - started < 2
    assert 1 <= len(caught.value.diagnostics) <= 20


def test_wide_is_not_deep() -> None:
    vector = expression("[" + ", ".join(["1"] * 5_000) + "]")
    assert isinstance(vector, tree.Vector) and len(vector.items) == 5_000
    pipe = expression("x" + " |> f" * 1_000)
    assert isinstance(pipe, tree.Pipe) and len(pipe.stages) == 1_000


def test_fifty_kilobytes_in_less_than_a_second() -> None:
    text = (ROOT / "seqc" / "std" / "cells.seq").read_text("utf-8")
    text = text * (50_000 // len(text) + 1)
    started = time.process_time()
    parse(Source("test.seq", text))
    assert time.process_time() - started < 1


def survives(text: str) -> None:
    """Parsing and formatting give a result or SeqError with places inside the text; anything else fails the test."""
    try:
        format(from_bytes("test.seq", text.encode("utf-8", "surrogatepass")))
    except SeqError as error:
        for each in error.diagnostics:
            assert each.label is not None
            assert each.label.span.line >= 1


INSERTED = [
    *"(){}[]=,:.#\"'\\;&|<>+-*/^@%!~?$\n\t 0e_",
    "|>",
    "->",
    "prev ",
    "over ",
    "1e999",
    "é",
    "\u202e",
    "\0",
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_cut_anywhere(path: Path) -> None:
    text = path.read_text("utf-8")
    for end in range(0, len(text), max(1, len(text) // 25)):
        survives(text[:end])


@pytest.mark.parametrize("seed", range(10))
def test_mutations_give_a_tree_or_a_message(seed: int) -> None:
    """200 mutations of the examples and the library in ten parts: pieces taken out, doubled, swapped, put in."""
    rng = random.Random(seed)
    texts = [path.read_text("utf-8") for path in FILES]
    for _ in range(20):
        text = rng.choice(texts)
        for _ in range(rng.randint(1, 4)):
            start = rng.randrange(len(text) + 1)
            end = min(len(text), start + rng.randint(0, 12))
            other = rng.randrange(len(text) + 1)
            piece = rng.choice([rng.choice(INSERTED), text[other : other + 8], "", text[start:end] * 2])
            text = text[:start] + piece + text[end:]
        survives(text)


def test_independent_mistakes_are_reported_together() -> None:
    text = "model M {\n  inptu x: real\n  y = x +\n  output y\n}\n\ntrain M {\n  window: 3\n}\n"
    with pytest.raises(SeqError) as caught:
        parse(Source("test.seq", text))
    lines = [each.label.span.line for each in caught.value.diagnostics if each.label is not None]
    assert lines == [2, 3, 8]
