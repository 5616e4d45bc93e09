"""`docs/cells.md` is what the library's sources give: equations, numbers of parameters, operations and bytes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from seqc.driver.shelf import STATED, formula, page, standard
from seqc.ops.cost import cost
from seqc.passes import flow_for
from seqc.syntax import tree
from seqc.syntax.mathematics import equations_of
from seqc.syntax.parse import parse
from tests.helpers import program

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cells.md"
LIBRARY = {each.name.text: each for each in parse(standard("cells")).items if isinstance(each, tree.Cell)}


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `python -m seqc.driver.shelf > docs/cells.md`"


def test_the_page_holds_everything_that_the_library_has() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in ("cells", "losses", "optim", "schedules", "prelude"):
        for each in parse(standard(name)).items:
            if isinstance(each, tree.Cell | tree.Fn | tree.Optimizer):
                assert f"| `{each.name.text}(" in text, each.name.text


def test_formulas_can_stand_in_a_table() -> None:
    for formula_text in re.findall(r"\$`([^`]*)`\$", PAGE.read_text(encoding="utf-8")):
        assert "|" not in formula_text and r"\operatorname" not in formula_text
        assert formula_text.count("{") == formula_text.count("}"), formula_text
        assert formula_text.count(r"\left") == formula_text.count(r"\right"), formula_text
        assert r"\text{call}" not in formula_text


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("RNN", [r"h_t = \varphi(W_g\, x_t + U_g\, h_{t - 1} + b_g)"]),
        (
            "GRU",
            [
                r"u_t = \sigma(W_z\, x_t + U_z\, h_{t - 1} + b_z)",
                r"r_t = \sigma(W_r\, x_t + U_r\, h_{t - 1} + b_r)",
                r"n_t = \tanh(W\, x_t + b + r_t \odot (U\, h_{t - 1} + b_U))",
                r"h_t = (1 - u_t) \odot n_t + u_t \odot h_{t - 1}",
            ],
        ),
        ("Embedding", [r"y_t = \mathrm{table}[k_t]"]),
        (
            "IndRNN",
            [r"g_t = W_g\, x_t + b_g", r"h_t = \varphi(g_t + u \odot h_{t - 1})"],
        ),
    ],
)
def test_equations_are_those_of_the_paper(name: str, lines: list[str]) -> None:
    assert list(equations_of(LIBRARY[name], LIBRARY)) == lines


def test_numbers_of_parameters_are_told_in_letters() -> None:
    assert formula([(4 * 103, 101), (4 * 103, 103), (4 * 103,), (1,)]) == "4DH + 4H^2 + 4H + 1"


def test_operations_and_bytes_of_an_lstm() -> None:
    model = program("use std.cells: LSTM\nmodel M { input x: real[64]  y = x |> LSTM(64)  output y }")
    size = STATED["H"]
    products, gates, rest = 2 * 4 * size * 2 * size, 4 * 3 * size, 5 * size
    weights, states = 4 * (size * 2 * size + size), 2 * size
    for entry in ("step", "infer"):
        found = cost(flow_for(model, entry))
        assert found.flops == products + gates + rest
        assert found.bytes == 4 * (weights + 2 * states)
