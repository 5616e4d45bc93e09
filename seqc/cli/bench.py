"""`seqc bench`: times a model's entry points, beside what this machine could do."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from seqc.cli.arguments import Dims, Json, March, ModelFile, ModelName, Real, options
from seqc.cli.report import say, use_json

if TYPE_CHECKING:
    from seqc.driver.bench import Report, Timing

HEAD = ("entry", "T", "B", "calls", "p50", "p99", "worst", "GFLOP/s", "of the floor", "workspace")


def bench(
    path: ModelFile,
    entry: Annotated[
        list[str] | None,
        typer.Option(
            "--entry", help="step, infer, evaluate, gradients or update (default: step, infer, update)."
        ),
    ] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Rows of a call.")] = 1,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Steps of a call, but of step.")] = 64,
    seconds: Annotated[float, typer.Option("--seconds", min=0.0, help="Time for each entry point.")] = 2.0,
    threads: Annotated[int, typer.Option("--threads", min=1, max=256, help="Threads that share a call.")] = 1,
    dim: Dims = None,
    real: Real = None,
    model: ModelName = None,
    march: March = None,
    as_json: Json = False,
) -> None:
    """Time step, infer and update of a model: median, 99th percentile, worst call, GFLOP/s, share of the floor."""
    use_json(as_json)
    from seqc.driver.bench import Wishes
    from seqc.driver.bench import bench as run

    wishes = Wishes(tuple(entry or ()), steps, batch, seconds, threads)
    report = run(path, options(dim, real, model, None, march), wishes, say)
    if as_json:
        records = [each.record() for each in report.timings]
        found = {
            "model": report.model,
            "real": report.real,
            "threads": report.threads,
            "rows": records,
            "rates": asdict(report.rates),
        }
        typer.echo(json.dumps(found, indent=2))
        return
    rows = [_row(each) for each in report.timings]
    _print(rows)
    typer.echo(_remark(report))


def _row(each: Timing) -> tuple[str, ...]:
    return (
        each.entry,
        str(each.steps),
        str(each.batch),
        str(each.calls),
        duration(each.p50),
        duration(each.p99),
        duration(each.worst),
        f"{each.rate / 1e9:.1f}",
        f"{100 * each.share:.0f} %",
        size(each.workspace),
    )


def _print(rows: list[tuple[str, ...]]) -> None:
    """A drawn table where a person looks on, columns of plain text elsewhere."""
    import sys

    if sys.stdout.isatty():
        from rich import box
        from rich.console import Console
        from rich.table import Table

        table = Table(*HEAD, box=box.SIMPLE_HEAD)
        for number, column in enumerate(table.columns):
            column.justify = "left" if number == 0 else "right"
        for row in rows:
            table.add_row(*row)
        Console(highlight=False).print(table)
        return
    widths = [max(len(row[k]) for row in (HEAD, *rows)) for k in range(len(HEAD))]
    for row in (HEAD, *rows):
        cells = [text.ljust(width) if not k else text.rjust(width) for k, (text, width) in enumerate(zip(row, widths, strict=True))]  # fmt: skip
        typer.echo("  ".join(cells).rstrip())


def _remark(report: Report) -> str:
    rates = report.rates
    reads = ", ".join(f"{rate / 1e9:.0f}" for rate in rates.reads)
    cores = "one core" if report.threads == 1 else f"{report.threads} cores"
    several = "" if report.threads == 1 else f", divided by {report.threads}"
    products = f"{rates.operations / 1e9:.0f} GFLOP/s (multiply-adds, single precision)"
    if report.halves:
        rate, where = {"tiles": (rates.tiles, "on matrix tiles"), "dots": (rates.dots, "in pairs")}[
            report.halves
        ]
        products = f"{rate / 1e9:.0f} GFLOP/s (bfloat16 {where}; others at {products})"
    return (
        f"{report.model} in {report.real} on {cores}, called from Python. The floor: its products at "
        f"{products}, or the weights of its loops at the rate of "
        f"their cache level ({reads} GB/s for L1, L2, L3, memory), whichever takes longer{several}."
    )


def duration(seconds: float) -> str:
    """`12.3 us`, with three digits."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return (
                f"{seconds / scale:.3g} {unit}" if seconds < 1000 * scale else f"{seconds / scale:.0f} {unit}"
            )
    return f"{seconds * 1e9:.3g} ns"


def size(bytes: int) -> str:
    """`12.3 kB`."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if bytes >= scale:
            return f"{bytes / scale:.1f} {unit}"
    return f"{bytes} B"
