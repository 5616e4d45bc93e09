"""What a build reckons with: the measured rates of this machine where it is built for it alone, and no others."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from seqc.driver import rates
from seqc.driver.build import prepare
from seqc.driver.cache import Cache
from seqc.driver.options import Options
from seqc.plan.rates import Rates
from tests.cli.tools import seqc

FOUND = Rates(reads=(150e9, 60e9, 20e9, 7e9), measured=True)


@pytest.fixture
def own(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that nobody has used."""
    monkeypatch.setenv("SEQC_CACHE", str(here / "own"))
    return here


def remember(found: Rates) -> None:
    Cache().remember(rates._key(None, "native"), asdict(found))


def rates_in(folder: Path) -> str:
    return str(json.loads((folder / "tiny.json").read_text())["target"]["rates"])


def test_builds_use_what_was_measured_and_say_so(own: Path) -> None:
    before = prepare(own / "tiny.seq", Options(), ("shared",))
    assert rates_in(before.folder) == "built in"
    remember(FOUND)
    after = prepare(own / "tiny.seq", Options(), ("shared",))
    assert after.fresh and rates_in(after.folder) == "measured"
    assert not prepare(own / "tiny.seq", Options(), ("shared",)).fresh
    assert "memory 7" in seqc("show", "plan", "tiny.seq").out
    assert "measured rates" in seqc("show", "plan", "tiny.seq").out


def test_rates_that_change_no_choice_build_nothing_new(own: Path) -> None:
    remember(FOUND)
    first = prepare(own / "tiny.seq", Options(), ("shared",))
    remember(replace(FOUND, operations=90e9))
    assert prepare(own / "tiny.seq", Options(), ("shared",)).folder == first.folder


def test_another_machine_is_not_built_for_with_the_rates_of_this_one(own: Path) -> None:
    other = Options(march="")
    before = prepare(own / "tiny.seq", other, ("shared",))
    remember(FOUND)
    Cache().remember(rates._key(None, ""), asdict(FOUND))
    after = prepare(own / "tiny.seq", other, ("shared",))
    assert after.folder == before.folder and rates_in(after.folder) == "built in"
    shown = seqc("show", "plan", "tiny.seq", "--march", "").out
    assert "memory 7" not in shown and "rates of a plain core" in shown
