"""The parse tables: made from `seq.lark` by Lark when the grammar changes, read from `tables.json` otherwise.

`python -m seqc.syntax.tables > seqc/syntax/tables.json` makes them anew; a test compares. So neither a build nor a
check imports Lark, and reading the tables costs about two milliseconds.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True, slots=True)
class Rule:
    """A production: what it makes, how many symbols it takes, and which of them its record is made from.

    `layout` holds their positions in order, and -1 (a None) where an optional part is absent.
    `action` is a key of `build.ACTIONS`, `"*"` for a run of repeated parts, `""` where the single child stands for it.
    """

    name: str
    size: int
    layout: tuple[int, ...]
    action: str


@dataclass(frozen=True, slots=True)
class Tables:
    """`states[s][symbol]` is the next state if not negative, else `-1 - number of the rule to reduce by`;
    the first state is 0."""

    rules: tuple[Rule, ...]
    states: tuple[dict[str, int], ...]


def build(grammar: str) -> dict[str, Any]:
    """The tables of a grammar as plain lists and dictionaries; refuses one that is not LALR(1)."""
    from lark import Lark
    from lark.parsers.lalr_analysis import Shift

    parser = Lark(grammar, parser="lalr", lexer="basic", maybe_placeholders=True)
    table: Any = parser.parser.parser._parse_table
    rules = [_rule(rule) for rule in parser.rules]
    number = {rule: position for position, rule in enumerate(parser.rules)}
    order = _reading_order(table, Shift)
    states = []
    for state in order:
        row = {}
        for symbol, (action, argument) in sorted(table.states[state].items()):
            row[symbol] = order[argument] if action is Shift else -1 - number[argument]
        states.append(row)
    return {"rules": rules, "states": states}


def _reading_order(table: Any, shift: Any) -> dict[int, int]:
    """Lark numbers states as its sets happen to lie; this numbers them as they are met from the start."""
    order = {table.start_states["start"]: 0}
    waiting = [table.start_states["start"]]
    for state in waiting:
        for _, (action, argument) in sorted(table.states[state].items(), key=lambda pair: pair[0]):
            if action is shift and argument not in order:
                order[argument] = len(order)
                waiting.append(argument)
    return order


def _rule(rule: Any) -> list[Any]:
    name = str(rule.origin.name)
    action = "*" if name.startswith("__") else rule.alias or ("" if rule.options.expand1 else name)
    if name in ("pipe", "compare") and len(rule.expansion) > 1:
        action = name
    kept = [not getattr(symbol, "filter_out", False) for symbol in rule.expansion]
    layout, position = [], 0
    for absent in rule.options.empty_indices or [False] * len(kept):
        if absent or kept[position]:
            layout.append(-1 if absent else position)
        position += not absent
    return [name, len(rule.expansion), layout, action]


@cache
def load() -> Tables:
    """The saved tables."""
    saved = json.loads(resources.files("seqc.syntax").joinpath("tables.json").read_text("utf-8"))
    rules = tuple(Rule(name, size, tuple(layout), action) for name, size, layout, action in saved["rules"])
    return Tables(rules, tuple(saved["states"]))


def printed() -> str:
    """The text of `tables.json` for the grammar beside this file."""
    built = build(resources.files("seqc.syntax").joinpath("seq.lark").read_text("utf-8"))
    rules = ",\n".join(json.dumps(rule) for rule in built["rules"])
    states = ",\n".join(json.dumps(state, separators=(",", ":")) for state in built["states"])
    return f'{{"rules": [\n{rules}\n],\n"states": [\n{states}\n]}}\n'


if __name__ == "__main__":
    sys.stdout.write(printed())
