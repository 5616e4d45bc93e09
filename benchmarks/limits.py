"""What an LSTM of one row waits for: its weights, which come from beyond the first-level cache at every step.

    python benchmarks/limits.py [SIZES] [--seconds S]

Times hand-written loops (`speed/overlap.cpp`) by turns on one core: the products of all inputs, which run at the rate of
multiply-adds; the loop over time, which reads the recurrent weights; a loop of these loads alone; and one loop that does
inputs and loop together, multiply-add for multiply-add. Where `together` takes less than both one after the other, inputs
can hide behind loads, and a plan that does so would pay; where the loop takes as long as the loads, nothing else is left.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from pathlib import Path

from seqc.driver import resources, toolchain

SOURCE = Path(__file__).resolve().parent / "speed" / "overlap.cpp"


def measure(units: int, seconds: float, folder: Path) -> tuple[float, ...]:
    """Microseconds a step: inputs, loop, loads, together."""
    program = folder / f"overlap{units}"
    chosen = ["-march=native", f"-DUNITS={units}", f"-I{resources.runtime()}"]
    command = [*toolchain.locate(), *toolchain.FLAGS, *chosen, str(SOURCE), "-o", str(program)]
    subprocess.run(command, check=True)
    done = subprocess.run([str(program), str(seconds)], check=True, capture_output=True, text=True)
    return tuple(float(each) for each in done.stdout.split()[:4])


def main() -> None:
    """Reads the command line, prints a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sizes", nargs="*", type=int, default=[128, 256, 512, 1024], help="multiples of 32")
    parser.add_argument("--seconds", type=float, default=3.0, help="time for each size")
    chosen = parser.parse_args()
    if any(size < 32 or size % 32 for size in chosen.sizes):
        parser.error("sizes are multiples of 32")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    print("| units | inputs, µs a step | loop | loads alone | one after the other | together | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for size in chosen.sizes:
            inputs, loop, loads, both = measure(size, chosen.seconds, Path(folder))
            apart = inputs + loop
            print(
                f"| {size} | {inputs:.2f} | {loop:.2f} | {loads:.2f} | {apart:.2f} | {both:.2f} | {both / apart:.2f} |"
            )


if __name__ == "__main__":
    main()
