"""Both engines, models compiled once a session, and the golden files or a skip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.theano.golden import FOLDER, REASON, Golden, Lab
from tests.theano.texts import TEXTS


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder: Path = tmp_path_factory.mktemp("theano")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQC_CACHE", str(folder / "cache"))
        yield Lab(folder, TEXTS)


@pytest.fixture(params=["evaluator", "library"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def original() -> Callable[[str], Golden]:
    """`original(name)` reads a golden file."""
    if not FOLDER.is_dir():
        pytest.skip(REASON)
    return Golden
