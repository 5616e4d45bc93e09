"""Every representation of the models in `tests/models` against its golden file, what their plans hold, and that their
C++ compiles without warnings for a machine that nothing is known of.

Takes the `.seq` files and the files in `expected`; after a change that is meant run pytest with --accept and read the
difference.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from seqc.plan import counts
from tests.compiled.client import FLAGS, RUNTIME, STRICT
from tests.conftest import Golden
from tests.golden.models import ENDINGS, MODELS, expected_counts, files_of, plans_of, program_of, text_of

EXPECTED = Path(__file__).resolve().parent / "expected"
ROOT = Path(__file__).resolve().parents[2]
COMPILERS = ("g++", "clang++")
LARGEST = 60_000
"""Characters: a golden file that nobody can read guards nothing."""


def cases() -> list[tuple[str, str]]:
    """All models in all representations that they have."""
    return [
        (name, what) for name in MODELS for what in ENDINGS if what != "plan_step" or program_of(name).causal
    ]


@pytest.mark.parametrize(("name", "what"), cases())
def test_representation(name: str, what: str, golden: Golden) -> None:
    text = text_of(name, what)
    assert len(text) <= LARGEST
    assert str(ROOT) not in text
    golden(EXPECTED / f"{name}.{ENDINGS[what]}", text)


def test_no_file_is_left_over() -> None:
    """A golden file of a model or representation that is gone would never be compared."""
    expected = sorted(f"{name}.{ENDINGS[what]}" for name, what in cases())
    assert sorted(path.name for path in EXPECTED.iterdir()) == expected


@pytest.mark.parametrize("name", MODELS)
def test_counts_of_the_update(name: str) -> None:
    """The first line of a model says how many nodes of some kinds its plan has."""
    expected = expected_counts(name)
    assert expected, f"{name}.seq opens with `# plan: product 3, scan 2`"
    found = counts(plans_of(name)["update"])
    assert {kind: found.get(kind, 0) for kind in expected} == expected


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("name", MODELS)
def test_compiles_without_warnings(name: str, compiler: str, tmp_path: Path) -> None:
    """Without -march: vectors of 16 bytes, which the tests of compiled code never use."""
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    for file, text in files_of(name).items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    command = [compiler, *FLAGS, *STRICT, "-O0", "-fsyntax-only", f"-I{RUNTIME}", f"{name}.cpp"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:3000]
