"""Results as text: one line for each row in markdown, the same as JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from seqc.plan.rates import LEVELS, Rates
from speed.runner import Result, Timing
from speed.work import MATRICES, REFERENCE

HEAD = (
    "work",
    "ours",
    "spread",
    "best peer",
    "peer",
    "ratio",
    "spread",
    "target",
    "of the floor",
    "of its parts",
    "GFLOP/s",
)


def duration(seconds: float) -> str:
    """`12.3 µs`."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def _spread(timing: Timing | None) -> str:
    return "" if timing is None else f"{duration(timing.low)} … {duration(timing.high)}"


def line(result: Result, operations: float) -> tuple[str, ...]:
    """The cells of one row."""
    work, ours = result.work, result.ours
    best = next((each for each in result.peers if each.name == result.best), None)
    goal = ""
    if work.nanoseconds is not None:
        goal = f"≤ {allowed(result):.0f} ns ({work.nanoseconds:g} at {REFERENCE / 1e9:.0f} GFLOP/s)"
    elif work.target is not None:
        goal = f"≤ {work.target:.2f}"
    elif work.floor is not None:
        goal = f"≥ {work.floor:.0%} of the multiply-adds"
    ratio = "" if result.ratio is None else f"{result.ratio[1]:.2f}"
    spread = "" if result.ratio is None else f"{result.ratio[0]:.2f} … {result.ratio[2]:.2f}"
    return (
        work.name,
        "–" if ours is None else duration(ours.median),
        _spread(ours),
        "" if best is None else duration(best.median),
        result.best,
        ratio + met(result),
        spread,
        goal,
        "" if result.share is None else f"{result.share:.0%}",
        "" if result.filled is None else f"{result.filled:.0%}",
        "" if ours is None else f"{operations / ours.median / 1e9:.3g}",
    )


def allowed(result: Result) -> float:
    """Nanoseconds that a target grants at the rate that was read beside the row."""
    return (result.work.nanoseconds or 0.0) * (REFERENCE / result.rate if result.rate else 1.0)


def like_lstm(results: Sequence[Result]) -> list[str]:
    """For cells that nobody tuned: their operations a second beside those of the LSTM of the same kind of work."""
    from speed.floor import operations

    lines, measure = [], {}
    for each in results:
        if each.grid != "cells" or each.ours is None or each.work.cell in MATRICES:
            continue  # states that are matrices are kept for each step: memory, not operations, is what they take
        rate = operations(each.work) / each.ours.median
        if each.work.cell == "LSTM":
            measure[each.work.kind] = rate
        elif each.work.kind in measure:
            share = rate / measure[each.work.kind]
            mark = "✓" if share >= 0.85 else "✗"
            lines.append(f"- {each.work.name}: per operation {share:.0%} of the speed of the LSTM {mark}")
    return lines


def met(result: Result) -> str:
    """A mark for rows with a target."""
    from speed.floor import operations

    work = result.work
    if result.ours is None:
        return ""
    if work.nanoseconds is not None:
        return " ✓" if result.ours.median * 1e9 <= allowed(result) else " ✗"
    if work.target is not None and result.ratio is not None:
        good = result.ratio[1] <= work.target or (result.share or 0) >= 0.88
        return " ✓" if good else " ✗"
    if work.floor is not None:
        reached = operations(work) / result.ours.median / (result.rate * work.threads)
        return " ✓" if reached >= work.floor else " ✗"
    return ""


def markdown(results: Sequence[Result], rates: Rates, notes: bool = True) -> str:
    """The whole table, with the rates of the machine above and what was found on the way below."""
    from speed.floor import operations

    reads = ", ".join(f"{level} {rate / 1e9:.0f}" for level, rate in zip(LEVELS, rates.reads, strict=True))
    tiles = f", bf16 tiles {rates.tiles / 1e9:.0f} GFLOP/s" if rates.tiles else ", no matrix tiles"
    tiles += f", bf16 pairs on vectors {rates.dots / 1e9:.0f} GFLOP/s" if rates.dots else ""
    lines = [
        f"One core at the start of this run: {rates.operations / 1e9:.0f} GFLOP/s of multiply-adds{tiles}; "
        f"reads in GB/s: {reads}. "
        "The floor of a row uses the multiply-add rate read between its own calls, or a sixth of that of tiles, on which single "
        "precision takes six products, and in bfloat16 the rate of tiles, or that of pairs, moved as the former has; its parts are products, weights of the loop and "
        "elementary functions one after the other. Spreads are the middle half.",
        "",
        "| " + " | ".join(HEAD) + " |",
        "| " + " | ".join("---" for _ in HEAD) + " |",
    ]
    for each in results:
        count = 0.0 if each.work.kind == "build" else operations(each.work)
        lines.append("| " + " | ".join(line(each, count)) + " |")
    alike = like_lstm(results)
    if alike:
        lines += [
            "",
            "Cells that nobody tuned (at least 85 % of the LSTM's speed per operation):",
            "",
            *alike,
        ]
    lines += ["", "All peers (median, middle half):", ""]
    for each in results:
        others = "; ".join(
            f"{one.name} {duration(one.median)} ({_spread(one)}{', ' + one.note if one.note else ''})"
            for one in each.peers
        )
        said = f" [{'; '.join(each.notes)}]" if notes and each.notes else ""
        if others or said:
            lines.append(f"- {each.work.name}: {others}{said}")
    return "\n".join(lines) + "\n"


def as_json(results: Sequence[Result], rates: Rates) -> str:
    """Everything that was measured, each round included."""
    found: dict[str, Any] = {"rates": asdict(rates), "rows": [asdict(each) for each in results]}
    return json.dumps(found, ensure_ascii=False, indent=1) + "\n"


def as_csv(results: Sequence[Result]) -> str:
    """One line for each participant of each row, in seconds."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ("grid", "work", "who", "median", "low", "high", "ours to best peer", "share of the floor")
    )
    for each in results:
        for timing in (*([] if each.ours is None else [each.ours]), *each.peers):
            own = timing is each.ours
            ratio = each.ratio[1] if own and each.ratio is not None else ""
            share = each.share if own else ""
            figures = (f"{timing.median:.6g}", f"{timing.low:.6g}", f"{timing.high:.6g}")
            writer.writerow((each.grid, each.work.name, timing.name, *figures, ratio, share))
    return text.getvalue()
