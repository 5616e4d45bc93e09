"""`seqc build --tune`: a few ways to run a model's largest products, built and timed on this machine; the quickest is remembered.

Takes the path and options of a build; gives the options with what was found. Each entry point has a few candidates beside the
planner's own plan; one build holds the first candidate of every entry point, another the second, and so on.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from seqc.driver import bench, pipeline, rates, toolchain, tuned
from seqc.driver.build import prepare
from seqc.driver.fault import UserFault
from seqc.driver.options import Options
from seqc.driver.profile import march_of, math_of, real_of, stored
from seqc.driver.sources import Reader
from seqc.plan import Plan, PlanOptions
from seqc.plan.choose import expected, products_of
from seqc.plan.cost import costs, total
from seqc.plan.strategies import STRATEGIES
from seqc.plan.target import Target
from seqc.run.library import LibraryEngine
from seqc.run.model import Model

MOST = 3
"""Candidates of an entry point beside the planner's own choice: so many more compilations."""
LARGEST = 2
"""Products of an entry point that are tried in other ways; plain loops are not."""
GAIN = 0.97
"""Share of the time below which a candidate replaces the planner's choice."""
TURNS, SLICE = 9, 0.02
Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Found:
    """An entry point: its best options, None for the planner's own, and its time beside the planner's, as a ratio."""

    entry: str
    options: PlanOptions | None
    ratio: float


def tune(path: Path, options: Options, note: Note = lambda _: None) -> Options:
    """Times candidates and remembers the quickest. UserFault S0906 for a build that is not for this machine."""
    reader = Reader(path)
    program = pipeline.program(reader, options)
    profile = pipeline.profile(program, options)
    march = march_of(profile, options)
    if march != "native":
        raise UserFault(
            "S0906",
            f"a build for `{march or 'any machine'}` cannot be tuned",
            "tuning times candidates on this machine, for which such a build is not made",
            "leave out `--tune`, or build with `--march native`",
        )
    tools, own = toolchain.probe(options.compiler, march), rates.of_build(options.compiler, march)
    real = real_of(profile, options)
    target = pipeline.target_of(tools, real, stored(profile), program, math_of(program, profile), own)
    entries = [each for each in pipeline.entries_of(program, profile) if each in bench.TIMED]
    told = pipeline.chosen_for(program, profile)
    plans = pipeline.plans(program, target, tuple(entries), told)
    ways: dict[str, list[PlanOptions]] = {}
    for entry in entries:

        def planned(other: PlanOptions, entry: str = entry) -> Plan:
            return pipeline.plans(program, target, (entry,), {entry: other})[entry]

        ways[entry] = candidates(plans[entry], target, told[entry], planned)
    count = max((len(each) for each in ways.values()), default=0)
    models = []
    for number in range(count + 1):
        note(
            f"tuning: building {number + 1} of {count + 1}" if count else "tuning: there is nothing to choose"
        )
        chosen = {entry: each[number - 1] for entry, each in ways.items() if 0 < number <= len(each)}
        models.append(opened(path, replace(options, tuned=tuned.as_text(chosen)), note))
    steps, batch = ((), ()) if profile is None else (profile.steps, profile.batch)
    found = [
        quickest(entry, ways[entry], models, expected(entry, steps, batch))
        for entry in entries
        if ways[entry]
    ]
    better = {each.entry: each.options for each in found if each.options is not None}
    tuned.remember(path, options, reader.files, better)
    note(conclusion(found))
    return replace(options, tuned=tuned.as_text(better))


def candidates(
    plan: Plan, target: Target, told: PlanOptions, planned: Callable[[PlanOptions], Plan]
) -> list[PlanOptions]:
    """Other ways to run an entry point, the likeliest first, that make another plan."""
    wishes = [
        replace(told, products=((number, name),)) for number, name in other_strategies(plan, target, told)
    ]
    wishes += [replace(told, epilogues=False), replace(told, chains=False), replace(told, stretch=0)]
    steps, batch = (told.sizes or expected(plan.entry))[-1]
    seen, found = [plan], []
    for wish in wishes:
        made = planned(wish)
        if made not in seen:
            seen.append(made)
            found.append((total(costs(made, target, target.speed, steps, batch)).seconds, wish))
    return [wish for _, wish in sorted(found, key=lambda each: each[0])[:MOST]]


def other_strategies(plan: Plan, target: Target, told: PlanOptions) -> list[tuple[int, str]]:
    """Number and strategy of the products that take longest."""
    steps, batch = (told.sizes or expected(plan.entry))[-1]
    spent = {id(node): each.seconds for _, node, each in costs(plan, target, target.speed, steps, batch)}
    numbered = sorted(enumerate(products_of(plan)), key=lambda each: -spent.get(id(each[1][1]), 0.0))
    found = []
    for number, (_, node) in numbered[:LARGEST]:
        for other in STRATEGIES:
            another = other.kind == "product" and other.name not in (node.strategy, "plain")
            if another and other.legal(plan, node, target) is None:
                found.append((number, other.name))
    return found


def opened(path: Path, options: Options, note: Note) -> Model:
    """A built candidate with weights."""
    built = prepare(path, options, ("shared",), note)
    manifest: Any = json.loads((built.folder / f"{built.name}.json").read_text(encoding="utf-8"))
    return Model(LibraryEngine(manifest, built.folder / manifest["library"]), 0)


def quickest(
    entry: str, ways: list[PlanOptions], models: list[Model], sizes: tuple[tuple[int, int], ...]
) -> Found:
    """The best of the candidates of an entry point: by the geometric mean over the sizes of its calls."""
    ratios = [1.0] * len(ways)
    for steps, batch in sizes:
        calls = [bench.call(model, entry, steps, batch) for model in models[: len(ways) + 1]]
        for number, ratio in enumerate(beside(calls)):
            ratios[number] *= ratio ** (1 / len(sizes))
    best = min(range(len(ways)), key=lambda number: ratios[number])
    if ratios[best] >= GAIN:
        return Found(entry, None, 1.0)
    return Found(entry, ways[best], ratios[best])


def beside(calls: list[Callable[[], Any]]) -> list[float]:
    """The time of each call but the first, in parts of the first's: medians of the ratios of turns."""
    rounds: list[list[float]] = []
    for _ in range(TURNS):
        spent = []
        for each in calls:
            each()
            count, start = 0, time.perf_counter()
            while not count or time.perf_counter() - start < SLICE:
                each()
                count += 1
            spent.append((time.perf_counter() - start) / count)
        rounds.append([one / spent[0] for one in spent[1:]])
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def conclusion(found: list[Found]) -> str:
    """One line: what changed, and what it gained."""
    changed = [f"{each.entry} takes {100 * each.ratio:.0f} % of its time" for each in found if each.options]
    if not changed:
        return "tuned: the planner's own choices are the quickest"
    return f"tuned: {', '.join(changed)}; later builds of this model do the same"


def described(choices: Mapping[str, PlanOptions], entry: str) -> str:
    """What `seqc show plan` says of an entry point that was timed."""
    one = choices.get(entry)
    if one is None:
        return "choices: measured by `--tune`, which found nothing quicker than the planner's own"
    parts = [f"product {number} {name}" for number, name in one.products]
    parts += [
        text for text, there in (("no epilogues", one.epilogues), ("no chains", one.chains)) if not there
    ]
    parts += ["no stretches"] if one.stretch == 0 else []
    return f"choices: measured by `--tune`: {', '.join(parts)}"
