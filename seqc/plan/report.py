"""The costs of a Plan as text, for `seqc show plan`: for each kernel what it takes, what bounds it, and why it runs that way.

costs at T = 64, B = 32, one core, measured rates
       µs      %   MFLOP      kB  bound by           kernel
     31.0     42    8.39   540.7  multiply-adds      product gemm  lstm.i    plain: 60.2 times as long
"""

from __future__ import annotations

from dataclasses import replace

from seqc.plan.cost import cost, costs, total
from seqc.plan.rates import LEVELS, Rates
from seqc.plan.setting import Cost, Setting
from seqc.plan.strategies import STRATEGIES
from seqc.plan.target import Target
from seqc.plan.types import Node, Outer, Plan, Product, Scan


def print_costs(plan: Plan, target: Target, rates: Rates, steps: int, batch: int) -> str:
    """The table of all kernels, their sum, and the rates behind it."""
    found = costs(plan, target, rates, steps, batch)
    whole = total(found)
    source = (
        "measured rates"
        if rates.measured
        else f"rates of a plain core with vectors of {target.vector_bytes} bytes (`seqc doctor --measure` measures this one)"
    )
    lines = [f"costs at T = {steps}, B = {batch}, one core, {source}"]
    lines.append(f"  {'µs':>10} {'%':>5} {'MFLOP':>9} {'kB':>10}  {'bound by':<22} kernel")
    digits = 1 if whole.seconds > 1e-4 else 3
    setting = Setting(plan, target, rates, steps, batch)
    last = -1
    for scan, node, each in found:
        if scan != last and scan >= 0:
            way = [one for one in plan.nodes if isinstance(one, Scan)][scan]
            lines.append(
                f"  {'':>60} scan {way.way.value} {way.strategy}: one way, a loop over {steps} steps"
            )
        last = scan
        share = 100 * each.seconds / whole.seconds if whole.seconds else 0.0
        lines.append(
            f"  {_figures(each, share, digits)} {'  ' if scan >= 0 else ''}{_name(node)}{_why(setting, node, scan >= 0)}"
        )
    lines.append(f"  {_figures(whole, 100.0, digits)} together")
    lines.append(
        f"  no program takes less than {1e6 * whole.least:.{digits}f} µs for its products and weights"
    )
    lines.append(f"  {_rates(rates)}")
    return "\n".join(lines) + "\n"


def _figures(each: Cost, share: float, digits: int) -> str:
    micro, mega, kilo = 1e6 * each.seconds, each.operations / 1e6, each.bytes / 1e3
    return f"{micro:>10.{digits}f} {share:>5.0f} {mega:>9.2f} {kilo:>10.1f}  {each.bound:<22}"


def _name(node: Node) -> str:
    kind = type(node).__name__.lower()
    strategy = getattr(node, "strategy", "")
    fused = " with its equations" if getattr(node, "epilogue", None) is not None else ""
    origin = getattr(node, "origin", "")
    return " ".join(part for part in (kind, strategy) if part) + fused + (f"  {origin}" if origin else "")


def _why(setting: Setting, node: Node, looped: bool) -> str:
    """What speaks against the other strategies of this kind of node."""
    if not isinstance(node, Product | Outer):
        return ""
    kind = type(node).__name__.lower()
    mine = cost(setting, node, looped).seconds
    reasons = []
    for other in STRATEGIES:
        if other.kind != kind or other.name == node.strategy:
            continue
        against = other.legal(setting.plan, node, setting.target)
        if against is not None:
            reasons.append(f"{other.name}: {against}")
            continue
        theirs = cost(setting, replace(node, strategy=other.name), looped).seconds
        reasons.append(f"{other.name}: {theirs / mine:.1f} times as long")
    return "    " + "; ".join(reasons) if reasons else "    the only way"


def _rates(rates: Rates) -> str:
    reads = ", ".join(f"{level} {rate / 1e9:.0f}" for level, rate in zip(LEVELS, rates.reads, strict=True))
    tiles = f", bfloat16 tiles {rates.tiles / 1e9:.0f} GFLOP/s" if rates.tiles else ""
    tiles += f", bfloat16 pairs {rates.dots / 1e9:.0f} GFLOP/s" if rates.dots else ""
    return f"rates: {rates.operations / 1e9:.0f} GFLOP/s{tiles}; reads in GB/s: {reads}"
