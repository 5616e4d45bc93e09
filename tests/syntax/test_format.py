"""`fmt`: the six programs stay as they are; any program keeps its Tree and its comments, and a second pass changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from seqc.source.text import Source
from seqc.syntax.format import format
from seqc.syntax.parse import parse
from seqc.syntax.same import same
from seqc.syntax.tokens import tokenize
from tests.syntax.programs import FILES, programs


def formatted(text: str) -> str:
    return format(Source("test.seq", text))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_programs_of_the_project_are_formatted(path: Path) -> None:
    text = path.read_text("utf-8")
    assert formatted(text) == text


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(programs())
def test_tree_and_comments_stay_and_a_second_pass_changes_nothing(text: str) -> None:
    source = Source("test.seq", text)
    once = formatted(text)
    assert same(parse(source), parse(Source("test.seq", once)))
    assert [each.text for each in tokenize(source).comments] == [
        each.text for each in tokenize(Source("test.seq", once)).comments
    ]
    assert formatted(once) == once


CASES = {
    "blanks around operators, none around colons of slices": (
        "model M{y=-a*( b+c )^2|>f(x,k . p=3)\nz=x[ 0 : 2 ]}",
        "model M {\n  y = -a * (b + c) ^ 2 |> f(x, k.p = 3)\n  z = x[0:2]\n}\n",
    ),
    "a short body on one line stays there": (
        "train M{update=Adam()   clip=norm(5.0)}",
        "train M { update = Adam()  clip = norm(5.0) }\n",
    ),
    "columns that the author began are kept": (
        "model M {\n  input  words: index(V)\n  input  n:     length\n  target tag:  index(K)\n}\n",
        "model M {\n  input  words: index(V)\n  input  n:     length\n  target tag: index(K)\n}\n",
    ),
    "columns that are too far to the right come back": (
        "model M {\n  a     = 1\n  bbb   = 2\n}\n",
        "model M {\n  a   = 1\n  bbb = 2\n}\n",
    ),
    "pipes stand below the first pipe": (
        "model M {\n  y = x |> f\n    |> g\n    |> h\n}\n",
        "model M {\n  y = x |> f\n        |> g\n        |> h\n}\n",
    ),
    "a sum in parentheses goes on below its operands": (
        "model M {\n  y = (a * b\n    + c) / d\n}\n",
        "model M {\n  y = ( a * b\n      + c) / d\n}\n",
    ),
    "an operator at the beginning of a line stands below the equals sign": (
        "model M {\n  long = a\n + b\n}\n",
        "model M {\n  long = a\n       + b\n}\n",
    ),
    "a bracket that ends its line indents what it holds": (
        "model M {\n  y = f(\n a,\n b\n )\n}\n",
        "model M {\n  y = f(\n    a,\n    b\n  )\n}\n",
    ),
    "comments behind statements begin in column 41": (
        "model M {\n  x = 1 # one\n  # alone\n      # again\n  y = 2    #two\n}\n",
        "model M {\n  x = 1                                 # one\n  # alone\n  # again\n"
        "  y = 2                                 #two\n}\n",
    ),
    "one blank line at most, one around every item of several lines": (
        "\n\nuse a: B\nuse c: D\nmodel M {\n\n  x = 1\n\n\n  y = 2\n\n}\n# about N\nmodel N {\n}\n\n\n",
        "use a: B\nuse c: D\n\nmodel M {\n  x = 1\n\n  y = 2\n}\n\n# about N\nmodel N {}\n",
    ),
    "a comment inside an expression stays there": (
        "model M {\n  y = a + # first\n    b\n}\n",
        "model M {\n  y = a +                               # first\n      b\n}\n",
    ),
    "nothing is nothing": ("\n \n", ""),
}


@pytest.mark.parametrize("name", CASES)
def test_layout(name: str) -> None:
    before, after = CASES[name]
    assert formatted(before) == after
    assert formatted(after) == after
