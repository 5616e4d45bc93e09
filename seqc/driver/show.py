"""The windows of `seqc show`: each representation of a program as text."""

from __future__ import annotations

from pathlib import Path
from pprint import pformat

from seqc.driver import pipeline
from seqc.driver.fault import UserFault
from seqc.driver.options import Options
from seqc.driver.sources import Reader
from seqc.driver.tuned import with_tuned
from seqc.lower.program import Program
from seqc.source.suggest import nearest


def show(
    floor: str,
    path: Path,
    options: Options,
    entry: str,
    after: str | None,
    sizes: tuple[int, int] = (64, 32),
) -> str:
    """The text of one floor: `tree`, `flow` (after the pass `after`), `plan` (with costs for T and B = `sizes`), or `code`."""
    reader = Reader(path)
    if floor == "tree":
        from seqc.syntax.parse import parse

        return pformat(parse(reader.first()), width=110)
    program = pipeline.program(reader, options)
    known = pipeline.entries(program)
    if entry not in known:
        close = nearest(entry, known)
        hint = f"did you mean `{close}`?" if close else None
        raise UserFault(
            "S0906", f"{program.name} has no entry point `{entry}`", f"it has {', '.join(known)}", hint
        )
    if floor == "code":
        return _code(path, options)
    if floor == "flow":
        return _flow(program, entry, after)
    return _plan(program, with_tuned(path, options), entry, sizes)


def _flow(program: Program, entry: str, after: str | None) -> str:
    from seqc.flow.print import show as print_flow
    from seqc.passes import apply_flow, flow_for, names_of_passes

    if after is not None and after not in names_of_passes(entry):
        known = names_of_passes(entry)
        close = nearest(after, known)
        hint = f"did you mean `{close}`?" if close else None
        raise UserFault(
            "S0906", f"no pass `{after}` runs for `{entry}`", f"these run: {', '.join(known)}", hint
        )
    flow = apply_flow(program) if entry == "apply" else flow_for(program, entry, after=after)
    return print_flow(flow)


def _plan(program: Program, options: Options, entry: str, sizes: tuple[int, int]) -> str:
    from seqc.driver import rates, toolchain, tuned
    from seqc.driver.profile import march_of, math_of, real_of, stored
    from seqc.driver.tune import described
    from seqc.plan import print_plan
    from seqc.plan.report import print_costs

    profile = pipeline.profile(program, options)
    march = march_of(profile, options)
    tools = toolchain.probe(options.compiler, "native" if march == toolchain.FAT else march)
    real, own = real_of(profile, options), rates.of_build(options.compiler, march)
    target = pipeline.target_of(tools, real, stored(profile), program, math_of(program, profile), own)
    choices = tuned.choices_of(options)
    told = pipeline.chosen_for(program, profile, choices)
    plan = pipeline.plans(program, target, (entry,), told)[entry]
    steps = 1 if entry in ("step", "apply") else sizes[0]
    timed = f"  {described(choices, entry)}\n" if options.tuned else ""
    return print_plan(plan) + "\n" + print_costs(plan, target, target.speed, steps, sizes[1]) + timed


def _code(path: Path, options: Options) -> str:
    from seqc.driver.translate import translate

    texts = translate(path, with_tuned(path, options), ("shared",), lambda _: None, divided=False).texts
    return next(text for name, text in texts.items() if name.endswith(".cpp"))
