"""The models of `tests/models` in every representation, as text that depends on no machine.

Takes a model's name; gives the text of its tree, flows, plans, C++ unit, C header and manifest, for a fixed target.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from pprint import pformat

from seqc.driver import pipeline
from seqc.driver.options import Options
from seqc.driver.sources import Reader
from seqc.emit import EmitOptions, emit
from seqc.flow.print import show as print_flow
from seqc.lower.program import Program
from seqc.plan import Plan, print_plan
from seqc.plan.target import Target
from seqc.syntax.parse import parse

FOLDER = Path(__file__).resolve().parents[1] / "models"
MODELS = tuple(sorted(path.stem for path in FOLDER.glob("*.seq")))

TARGET = Target("portable", vector_bytes=16, real_bytes=4)
"""Not this machine's: the files are the same wherever they are made."""

PRINTED = {
    "charlm": ("infer", "gradients", "step"),
    "speaker": ("infer", "apply", "update", "step", "generate", "initial"),
    "tagger": ("infer", "gradients", "step"),
    "twogate": ("infer", "apply", "update", "step", "initial"),
}
"""The entry points in the golden C++ of a model: not all, so that the files stay short enough to be read."""

ENDINGS = {
    "tree": "tree.txt",
    "flow_infer": "flow.infer.txt",
    "flow_update": "flow.update.txt",
    "plan_update": "plan.update.txt",
    "plan_step": "plan.step.txt",
    "unit": "cpp.txt",
    "header": "h.txt",
    "manifest": "json",
}
"""The representations, and how the names of their files end."""


@cache
def program_of(name: str) -> Program:
    """The meaning of a model."""
    return pipeline.program(Reader(FOLDER / f"{name}.seq"), Options())


@cache
def plans_of(name: str) -> Mapping[str, Plan]:
    """The plans of all its entry points."""
    return pipeline.plans(program_of(name), TARGET)


@cache
def files_of(name: str, entries: tuple[str, ...] | None = None) -> Mapping[str, str]:
    """All generated files; version and hash are fixed, so that neither a release nor a comment changes them."""
    chosen = EmitOptions(name, "f32", "0123456789abcdef", "0.0.0", f"lib{name}.so")
    plans = {entry: made for entry, made in plans_of(name).items() if entries is None or entry in entries}
    return emit(program_of(name), plans, TARGET, chosen, f"{name}.seq")


def text_of(name: str, what: str) -> str:
    """One representation of one model."""
    if what == "tree":
        return pformat(parse(Reader(FOLDER / f"{name}.seq").first()), width=110) + "\n"
    room, _, entry = what.partition("_")
    if room == "flow":
        text = print_flow(pipeline.flows(program_of(name))[entry])
    elif room == "plan":
        text = print_plan(plans_of(name)[entry])
    elif room == "unit":
        text = files_of(name, PRINTED[name])[f"{name}.cpp"]
    else:
        text = files_of(name)[f"{name}.h" if room == "header" else f"{name}.json"]
    return text.rstrip("\n") + "\n"


def expected_counts(name: str) -> dict[str, int]:
    """What the first line of a model says of its plan: `# plan: product 3, scan 2`."""
    first = (FOLDER / f"{name}.seq").read_text("utf-8").splitlines()[0]
    words = first.removeprefix("# plan: ")
    if words == first:
        return {}
    pairs = (each.split() for each in words.split(","))
    return {kind: int(number) for kind, number in pairs}
