"""Our speed beside every peer that is installed, on the grid of work in `speed/work.py`.

    python benchmarks/grid.py [streaming|sequence|batch|training|cells|vocabulary|threads|ragged|pendulum|compile|all]
                              [--quick] [--only TEXT] [--seconds S] [--out FOLDER] [--processor] [--compiled]

Needs nothing but an installed seqc (or PYTHONPATH); peers (`pip install '.[bench]'`) that are missing are named and left out. Each participant runs in a
fresh process pinned to one core (two where a row says so) with as many threads; they take turns in short slices, from the
same weights, and their results are compared before anything is timed. Time is what passed, or with --processor what the
processor worked, which is steadier where others use the machine too. The multiply-add rate is read between the same calls.
Writes grid.md, grid.json and grid.csv into the folder, and the table to standard output.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from speed import builds, runner, table
from speed.work import GRIDS, rows

from seqc.driver.rates import measured


def main() -> None:
    """Reads the command line, runs the rows, writes the table after each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("grid", nargs="*", default=["all"], help="names of grids, or all")
    parser.add_argument("--quick", action="store_true", help="few sizes, five seconds a row at most")
    parser.add_argument("--only", default="", help="rows whose name contains this text")
    parser.add_argument("--seconds", type=float, help="time of the turns of a row")
    parser.add_argument("--out", type=Path, default=Path("grid"), help="folder of the tables")
    parser.add_argument("--compiled", action="store_true", help="with torch.compile: minutes for a cell")
    parser.add_argument("--processor", action="store_true", help="count time of processor (busy machines)")
    chosen = parser.parse_args()
    unknown = [each for each in chosen.grid if each not in (*GRIDS, "all")]
    if unknown:
        parser.error(f"there is no grid {unknown[0]}; there are {', '.join(GRIDS)}, all")
    runner.clean_environment()
    grids = GRIDS if "all" in chosen.grid else tuple(chosen.grid)
    wanted = [(grid, row) for grid in grids for row in rows(grid, chosen.quick) if chosen.only in row.name]
    budget = chosen.seconds or (4.0 if chosen.quick else 12.0)
    manner = runner.Manner(budget, chosen.compiled, chosen.processor)
    rates = measured(again=True)
    chosen.out.mkdir(parents=True, exist_ok=True)
    results = []
    for number, (grid, row) in enumerate(wanted, 1):
        start = time.perf_counter()
        print(f"[{number}/{len(wanted)}] {grid}: {row.name}", end=": ", file=sys.stderr, flush=True)
        if row.kind == "build":
            results.append(builds.run(grid, row, 1 if chosen.quick else 3))
        else:
            results.append(runner.run(grid, row, manner, _say))
        print(f" ({time.perf_counter() - start:.0f} s)", file=sys.stderr, flush=True)
        (chosen.out / "grid.md").write_text(table.markdown(results, rates), encoding="utf-8")
        (chosen.out / "grid.json").write_text(table.as_json(results, rates), encoding="utf-8")
        (chosen.out / "grid.csv").write_text(table.as_csv(results), encoding="utf-8")
    print(table.markdown(results, rates))


def _say(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
