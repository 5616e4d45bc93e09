"""Wrong programs and what is said about them.

Each `NAME.seq` in this folder is wrong, and `NAME.txt` beside it holds exactly what the compiler says. A new message
comes with the smallest program that shows it. `pytest --accept` writes the texts anew.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from seqc.source import explain
from seqc.source.decode import from_bytes
from seqc.source.diagnostic import Diagnostic, SeqError
from seqc.source.render import render
from seqc.syntax.parse import parse
from tests.conftest import Golden

HERE = Path(__file__).parent
PROGRAMS = sorted(HERE.glob("*.seq"))
ROOT = HERE.parent.parent
CODE = re.compile(r"\bS0[1-9][0-9]{2}\b")


def said(path: Path) -> str:
    """All messages about a program; an empty text if there is none."""
    try:
        parse(from_bytes(path.name, path.read_bytes()))
        warnings = meaning(path)
    except SeqError as error:
        return "\n\n".join(render(each) for each in error.diagnostics) + "\n"
    return "".join(render(each) + "\n" for each in warnings)


def meaning(path: Path) -> tuple[Diagnostic, ...]:
    """Everything after parsing; gives the warnings. Of a program called `profile_…` the deploy records are checked too."""
    from seqc.driver.check import check

    warnings = check(path)
    if path.stem.startswith("profile_"):
        profiles(path)
    return warnings


def profiles(path: Path) -> None:
    """What is said about a deploy record when it is built, without building it."""
    from seqc.driver import pipeline
    from seqc.driver.options import Options
    from seqc.driver.profile import check_profile
    from seqc.driver.sources import Reader
    from seqc.plan.target import Target

    target = Target("portable", 32, 4)
    for model in pipeline.programs(Reader(path), Options()):
        for profile in model.deploys:
            check_profile(model, profile, pipeline.plans(model, target), target)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_a_wrong_program_is_told_exactly_what_is_wrong(path: Path, golden: Golden) -> None:
    text = said(path)
    assert text, f"nothing is wrong with {path.name}"
    golden(path.with_suffix(".txt"), text)


def test_every_text_has_its_program() -> None:
    assert [path.stem for path in sorted(HERE.glob("*.txt"))] == [path.stem for path in PROGRAMS]


def used() -> set[str]:
    """The codes that stand anywhere in the compiler."""
    return {code for path in (ROOT / "seqc").rglob("*.py") for code in CODE.findall(path.read_text("utf-8"))}


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    assert sorted(explain.codes()) == sorted(used() - {"S0000"})


def test_every_code_about_a_program_has_a_wrong_program() -> None:
    shown = {code for path in HERE.glob("*.txt") for code in CODE.findall(path.read_text("utf-8"))}
    assert not sorted(code for code in used() if code < "S0800" and code not in shown)


@pytest.mark.parametrize("code", explain.codes())
def test_a_page_says_what_its_code_means(code: str) -> None:
    page = explain.page(code)
    assert re.match(rf"# {code}: \S.*\n\n\S", page)
    assert page.endswith("\n") and not page.endswith("\n\n")
