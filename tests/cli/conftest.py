"""Every test of the command line works in a folder of its own and with a cache of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.tools import TINY, WRITER


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with two small models in it. Builds of all tests share one cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEQC_CACHE", str(shared_cache))
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "tiny.seq").write_text(TINY)
    (tmp_path / "writer.seq").write_text(WRITER)
    return tmp_path
