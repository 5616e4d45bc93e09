"""The Python of `docs/from-pytorch.md`, run beside torch."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.test_docs import Block, marked, write_programs

pytest.importorskip("torch")

PAGE = "from-pytorch.md"


@pytest.mark.parametrize("block", [each for each in marked("python") if each.page == PAGE], ids=str)
def test_python_of_the_page(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_programs(PAGE, tmp_path)
    exec(compile(block.text, str(block), "exec"), {"__name__": "page"})
