"""The pages for readers: every program in them is checked, every part of one parses, and the Python in them runs.

A block marked `seq` is a whole file, `seq part` some lines of a model; `python run` is executed in a folder that holds
the programs of its page, with the numpy engine; other Python is only compiled. Relative links must lead to files, and examples quoted must be the files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from seqc import check
from seqc.source.text import Source
from seqc.syntax.parse import parse

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: the page, its line, the words behind the fence, the text."""

    page: str
    line: int
    mark: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}-{self.line}"


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(page.name, text[: each.start()].count("\n") + 1, each[1].strip(), each[2])
        for each in FENCE.finditer(text)
    ]


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def marked(*marks: str) -> list[Block]:
    return [block for block in BLOCKS if block.mark in marks]


def write_programs(page: str, folder: Path) -> None:
    """Each program of a page as a file, called after its model in lower case."""
    for block in marked("seq"):
        model = re.search(r"^model (\w+)", block.text, re.MULTILINE)
        if block.page == page and model is not None:
            (folder / f"{model[1].lower()}.seq").write_text(block.text, encoding="utf-8")


@pytest.mark.parametrize("block", marked("seq"), ids=str)
def test_programs_are_right(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "page.seq"
    path.write_text(block.text, encoding="utf-8")
    parse(Source(str(path), block.text))
    if re.search(r"^model ", block.text, re.MULTILINE):
        assert check(path) == ()


@pytest.mark.parametrize("block", marked("seq part"), ids=str)
def test_parts_of_a_model_parse(block: Block) -> None:
    parse(Source("page.seq", "model Page {\n" + block.text + "}\n"))


@pytest.mark.parametrize("block", marked("python", "python run"), ids=str)
def test_python_compiles_and_runs(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = compile(block.text, str(block), "exec")
    if block.mark == "python run":
        monkeypatch.chdir(tmp_path)
        (tmp_path / "examples").symlink_to(ROOT / "examples")
        write_programs(block.page, tmp_path)
        exec(code, {"__name__": "page"})


def test_every_block_says_what_it_is() -> None:
    known = {"seq", "seq part", "python", "python run", "c", "sh", "text", "cmake"}
    assert {str(block): block.mark for block in BLOCKS if block.mark not in known} == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    lost = [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    assert lost == []
