"""The cells of the standard library, several in one model: compiled code against the interpreter."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.compiled.compare import check_all, make
from tests.numeric.programs import lower_text

MODEL = """
use std.cells: {names}
use std.optim: Adam
model M {{
  input  x: real[2]
  target goal: real
{equations}
  y = {total}
  output y
  loss = mean((y - goal) ^ 2 over time, batch)
}}
train M {{ update = Adam(lr = 1e-3) }}
"""

GROUPS = {
    "gates": ("LSTM(3)", "GRU(3)", "GRUBefore(3)", "RNN(3)", "PeepholeLSTM(3)", "CoupledLSTM(3)"),
    "norms": ("LayerNormLSTM(3)", "ProjectedLSTM(4, 2)", "RMSNorm()", "LayerNorm()", "Highway()", "Delay(2)"),
    "light": ("MGU(3)", "IndRNN(3)", "SRU()", "minGRU(3)", "minLSTM(3)", "sLSTM(3)"),
    "past": (
        "LTC(3)",
        "LMU(3, 4, 2.5)",
        "Stack(LSTM(2), 2)",
        "ZoneoutLSTM(3)",
        "Conv(3, 3, tanh)",
        "Residual(Dense(2))",
    ),
    "time": ("Leaky(3)", "CTRNN(3, dt = 0.4)", "CfC(3)", "HighwayRNN(3)", "Dropout(0.3)", "HeldDropout(0.3)"),
}


def source(cells: tuple[str, ...]) -> str:
    """A model in which each cell reads the input; their results are added up."""
    names = ", ".join(sorted({name for cell in cells for name in re.findall(r"([A-Za-z]+)\(", cell)}))
    equations = "\n".join(f"  y{number} = x |> {cell}" for number, cell in enumerate(cells))
    total = " + ".join(f"sum(sin(y{number}))" for number in range(len(cells)))
    return MODEL.format(names=names, equations=equations, total=total)


@pytest.mark.parametrize("real", ["f64", "f32"])
@pytest.mark.parametrize("group", sorted(GROUPS))
def test_compiled_equals_interpreted(group: str, real: str, tmp_path: Path) -> None:
    pair = make(lower_text(source(GROUPS[group])), real, tmp_path)
    check_all(pair, steps=4, batch=3)
