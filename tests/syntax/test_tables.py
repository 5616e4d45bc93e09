"""The saved tables are those of the grammar, and every rule of the grammar has its record."""

from __future__ import annotations

from importlib import resources

import pytest

from seqc.syntax.build import ACTIONS
from seqc.syntax.tables import load, printed
from seqc.syntax.tokens import RESERVED


def test_the_saved_tables_are_fresh() -> None:
    """If this fails: python -m seqc.syntax.tables > seqc/syntax/tables.json"""
    pytest.importorskip("lark")
    assert resources.files("seqc.syntax").joinpath("tables.json").read_text("utf-8") == printed()


def test_every_rule_has_its_record() -> None:
    actions = {rule.action for rule in load().rules} - {"", "*"}
    assert actions == set(ACTIONS)


def test_every_reserved_word_is_a_terminal_and_no_name() -> None:
    kinds = {symbol for state in load().states for symbol in state}
    assert {word.upper() for word in RESERVED} <= kinds
    assert len(RESERVED) == len(set(RESERVED)) == 30
