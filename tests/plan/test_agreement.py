"""Plans run by the slow interpreter agree with the evaluator: hand-built models, examples, random programs, every entry."""

from __future__ import annotations

import pytest

from seqc.flow.types import Flow
from seqc.lower.program import Program
from seqc.passes import apply_flow, flow_for, initial_optimizer
from seqc.plan import PlanOptions
from seqc.plan.types import Scan
from tests.helpers import example
from tests.numeric.hand_models import MODELS
from tests.numeric.programs import lower_text
from tests.passes.random_flows import random_program
from tests.plan.compare import compare

ENTRIES = ("infer", "evaluate", "gradients", "update", "step")
EXAMPLES = {
    "adding": {},
    "amp": {},
    "charlm": {"H": 6, "V": 7},
    "pendulum": {},
    "speaker": {},
    "speech": {},
    "tagger": {"V": 60},
}

CELL = """
use std.cells: Dense, Embedding, {cell}
use std.losses: cross_entropy
use std.optim: SGD
model M {{
  input  k: index(4)
  target t: index(5)
  z = k |> Embedding(6) |> {cell}(9) |> {cell}(6) |> Dense(5)
  output z
  loss = mean(cross_entropy(z, t) over time, batch)
}}
train M {{ update = SGD(lr = 0.1) }}
"""


def flows(program: Program) -> dict[str, Flow]:
    """The flows of all entries that the program has."""
    found = {}
    causal = all(value.op != "reverse" for value in program.flow.values)
    for entry in ENTRIES:
        if entry != "step" or causal:
            found[entry] = flow_for(program, entry)
    if program.rules:
        found["apply"], found["initial"] = apply_flow(program), initial_optimizer(program)
        if causal:
            found["generate"] = flow_for(program, "generate")
    return {entry: flow for entry, flow in found.items() if flow.roots}


def small(name: str) -> Program:
    """An example with few units, so far as its dims can be named."""
    return example(name, **EXAMPLES[name])


@pytest.mark.parametrize("name", sorted(MODELS))
def test_hand_models(name: str) -> None:
    program = MODELS[name]()
    for entry, flow in flows(program).items():
        compare(flow, program, entry)
        compare(flow, program, entry, steps=1, batch=1, seed=2)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_examples(name: str) -> None:
    program = small(name)
    for entry, flow in flows(program).items():
        compare(flow, program, entry, steps=3, batch=2)


@pytest.mark.parametrize("seed", range(24))
def test_random_programs(seed: int) -> None:
    program = random_program(seed, 12 + seed)
    for entry, flow in flows(program).items():
        compare(flow, program, entry, seed=seed)


@pytest.mark.parametrize("cell", ["LayerNormLSTM", "PeepholeLSTM", "minGRU", "SRU", "IndRNN", "GRU"])
def test_stretches_of_time(cell: str) -> None:
    """Of less steps than there are, of one step, and of more."""
    program = lower_text(CELL.format(cell=cell))
    for entry, flow in flows(program).items():
        for stretch in (6, 1, 100):
            made = compare(flow, program, entry, options=PlanOptions(stretch=stretch))
        scans = [node for node in made.nodes if isinstance(node, Scan)]
        assert entry != "gradients" or any(node.after for node in scans)


PARTS = """
model M {
  input x: real[4]
  state s: real[4] = 0
  state r: real = 0
  s = tanh(x + prev s)
  r = s[1]
  output y = prev r
  %s
}
"""


@pytest.mark.parametrize("output", ["", "output z = (2 * s)[1]"])
def test_a_part_of_what_a_step_carries_on(output: str) -> None:
    """Another state, or an output, is an element of the loop that could write its state in place."""
    program = lower_text(PARTS % output)
    for entry in ("infer", "step", "generate"):
        compare(flow_for(program, entry), program, entry)


def test_an_output_in_pieces_of_rows_that_end() -> None:
    """A loop makes one part of it, a copy brings the other; and so it is with the gradient at the end of each row."""
    program = lower_text("""
model M {
  input n: length
  input x: real[3] once
  input z: real[2]
  param q: real[2] = ones
  output v = concat(2 * x, q - 0.5)
  output w = 2 * z
  loss = mean(last(z over time)[1] + sum(z) over time, batch)
}
""")
    for entry in ("infer", "gradients"):
        compare(flow_for(program, entry), program, entry)


def test_without_recomputation() -> None:
    program = MODELS["stacked"]()
    flow = flow_for(program, "gradients")
    compare(flow, program, "gradients", options=PlanOptions(recompute=False))
