"""The rooms of the house: who may import whom, what each file opens with, and how long it may be.

Reads every import of the package with `ast`, so that no wall is broken without this table saying so.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "seqc"
FILES = sorted(PACKAGE.rglob("*.py"))
ROOMS = sorted({path.relative_to(PACKAGE).parts[0] for path in FILES if path.parent != PACKAGE})

PROGRAM = "lower.program"
"""The record of a whole model: rooms behind `lower` read it without knowing how it was made."""

MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "source": (),
    "syntax": ("source",),
    "flow": ("source",),
    "ops": ("flow",),
    "lower": ("source", "syntax", "flow", "ops"),
    "passes": ("flow", "ops", PROGRAM),
    "plan": ("flow", "ops", PROGRAM),
    "emit": ("plan", "flow", "ops", PROGRAM),
    "run": (),
    "driver": ("source", "syntax", "flow", "ops", "lower", "passes", "plan", "emit", "run", "."),
    "cli": ("driver", "source", "run.report", "."),
}
"""Rooms, and single files of rooms, that a room may import beside itself; "." is the package's own version."""

FOREIGN: dict[str, tuple[str, ...]] = {
    "syntax": ("lark",),
    "ops": ("numpy",),
    "passes": ("numpy",),
    "emit": ("jinja2",),
    "run": ("numpy",),
    "driver": ("numpy", "matplotlib"),
    "cli": ("typer", "rich"),
}
"""Packages of others that a room may use."""

EVALUATOR = PACKAGE / "run" / "evaluator.py"
"""The one file of `run` that needs the compiler; written packages do not carry it."""

LONGEST_FILE, LONGEST_FUNCTION = 400, 90


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported(path: Path) -> Iterator[str]:
    """Full names of all imported modules, those inside functions and under TYPE_CHECKING included."""
    here = ("seqc", *path.relative_to(PACKAGE).with_suffix("").parts)
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = (*here[: len(here) - node.level],) if node.level else ()
            stem = ".".join((*base, node.module) if node.module else base)
            yield from (f"{stem}.{alias.name}" for alias in node.names)


def allowed(room: str, path: Path, name: str) -> bool:
    """Whether a file of a room may import a module, or a name of a module."""
    parts = name.split(".")
    if parts[0] != "seqc":
        return parts[0] in sys.stdlib_module_names or parts[0] in FOREIGN.get(room, ())
    if len(parts) > 1 and parts[1] == room:
        return True
    rooms = (*MAY_IMPORT[room], "flow", "ops") if path == EVALUATOR else MAY_IMPORT[room]
    inside = ".".join(parts[1:]) if len(parts) > 1 and parts[1] in ROOMS else "."
    return any(inside == each or inside.startswith(f"{each}.") for each in rooms)


def test_the_table_names_every_room() -> None:
    assert sorted(MAY_IMPORT) == ROOMS


@pytest.mark.parametrize("room", ROOMS)
def test_imports_keep_to_the_table(room: str) -> None:
    broken = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in sorted((PACKAGE / room).rglob("*.py"))
        for name in imported(path)
        if not allowed(room, path, name)
    ]
    assert broken == []


def test_what_packages_carry_imports_itself_relatively() -> None:
    absolute = [
        f"{path.name} imports {name}"
        for path in sorted((PACKAGE / "run").glob("*.py"))
        if path != EVALUATOR
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Import | ast.ImportFrom) and not getattr(node, "level", 0)
        for name in (
            [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
        )
        if name.split(".")[0] == "seqc"
    ]
    assert absolute == []


def test_only_driver_and_cli_start_processes_and_read_the_environment() -> None:
    """`run` may write weights; nobody else reaches out of the process."""
    reaching = {"subprocess", "os.environ", "tempfile", "shutil", "socket", "urllib", "multiprocessing"}
    broken = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in FILES
        if path.relative_to(PACKAGE).parts[0] not in ("driver", "cli")
        for name in imported(path)
        if name.split(".")[0] in reaching or name in reaching
    ]
    assert broken == []


def test_files_open_with_what_they_hold() -> None:
    silent = [str(path.relative_to(PACKAGE)) for path in FILES if not ast.get_docstring(tree_of(path))]
    assert silent == []


def test_files_and_functions_are_short() -> None:
    long = []
    for path in FILES:
        count = len(path.read_text(encoding="utf-8").splitlines())
        if count > LONGEST_FILE:
            long.append(f"{path.relative_to(PACKAGE)} has {count} lines")
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                if size > LONGEST_FUNCTION:
                    long.append(f"{path.relative_to(PACKAGE)}: {node.name} has {size} lines")
    assert long == []


def test_the_map_names_every_room() -> None:
    text = ast.get_docstring(tree_of(PACKAGE / "__init__.py")) or ""
    assert [room for room in ROOMS if f"\n{room} " not in text and f"\n    {room} " not in text] == []
