"""What all tests share: `pytest --accept` writes golden files anew, the fixture `golden` compares with them; and their order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Golden = Callable[[Path, str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--accept", action="store_true", help="write golden files instead of comparing with them"
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """The tests of one file run in one worker, so that what its fixtures compile is compiled once; those of `runtime`, which
    share nothing and take long, run where there is room."""
    from xdist.scheduler import LoadScopeScheduling

    class Files(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]
            return nodeid if "/runtime/" in file else file

    config.option.loadscopereorder = False  # the order is that of `pytest_collection_modifyitems`
    return Files(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What compiles longest comes first: at the end one worker would wait for the other."""
    first = ("runtime", "compiled", "cli")
    items.sort(key=lambda item: [item.path.parent.name != folder for folder in first])


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """`golden(path, text)`: the file holds exactly this text; with `--accept` it does afterwards."""
    accept = bool(request.config.getoption("--accept"))

    def compare(path: Path, text: str) -> None:
        if accept:
            path.write_text(text, encoding="utf-8", newline="\n")
            return
        assert path.exists(), f"{path.name} is missing; run pytest --accept and read what it holds"
        assert text == path.read_text("utf-8"), (
            f"{path.name} differs; run pytest --accept and read the difference"
        )

    return compare
