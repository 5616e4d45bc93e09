"""Whole files: the same text each time, formatted, a golden file, a manifest that keeps to its schema, a package that parses."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import jsonschema
import pytest

from seqc.emit import EmitOptions, emit
from seqc.emit.layout import mentions
from seqc.lower import lower
from seqc.plan.target import Target
from seqc.run.arguments import Binder
from seqc.run.results import Results
from seqc.source.text import Source
from seqc.syntax.parse import parse
from tests.compiled.compare import text_of
from tests.emit import tiny
from tests.numeric.hand_models import MODELS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SCHEMA = ROOT / "seqc" / "emit" / "manifest.schema.json"


def files_of(real: str = "f32") -> Mapping[str, str]:
    target = Target(vector_bytes=64, real_bytes=8 if real == "f64" else 4)
    plans = {entry: tiny.plan(entry, target) for entry in ("infer", "step")}
    return emit(tiny.program(), plans, target, EmitOptions("tiny", real, library="libtiny.so"), "tiny.seq")


@pytest.mark.parametrize(
    "name", ["tiny.cpp", "tiny.h", "tiny.json", "tiny_main.cpp", "__init__.py", "__init__.pyi"]
)
def test_golden(name: str, request: pytest.FixtureRequest) -> None:
    """Run pytest with --accept after a change that is meant."""
    place = HERE / "golden" / f"{name}.txt"
    text = files_of()[name]
    if request.config.getoption("--accept", default=False):
        place.parent.mkdir(exist_ok=True)
        place.write_text(text)
    assert text == place.read_text()


@pytest.mark.parametrize("name", sorted(MODELS))
def test_text_is_the_same_each_time_and_formatted(name: str, tmp_path: Path) -> None:
    files = text_of(MODELS[name](), "f32", "model")
    assert files == text_of(MODELS[name](), "f32", "model")
    formatter = Path(sys.executable).with_name("clang-format")
    if not formatter.exists():
        pytest.skip("clang-format is not installed")
    (tmp_path / ".clang-format").write_text((ROOT / ".clang-format").read_text())
    sources = [name for name in files if name.endswith((".cpp", ".h"))]
    for source in sources:
        (tmp_path / source).write_text(files[source])
    command = [str(formatter), "--dry-run", "-Werror", *sources]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:2000]


@pytest.mark.parametrize("name", sorted(MODELS))
def test_manifests_keep_to_the_schema(name: str) -> None:
    files = text_of(MODELS[name](), "f32", "model")
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(files["model.json"]), schema)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_package_is_python(name: str) -> None:
    files = text_of(MODELS[name](), "f32", "model")
    for file in ("__init__.py", "__init__.pyi"):
        tree = ast.parse(files[file])
        assert any(isinstance(node, ast.ClassDef) and node.name == "hand" for node in tree.body)


WORDS = """model State {
  input class: real
  input seed: real
  y = class + seed
  output y
  output return = 2.0 * y
  output out = y
  output _last = y
}
"""


def test_words_of_python_are_named_alike_in_a_package_and_its_types() -> None:
    source = Source("words.seq", WORDS)
    (program,) = lower(parse(source), source, lambda name: source)
    files = text_of(program, "f32", "model")
    record = json.loads(files["model.json"])
    for file in ("__init__.py", "__init__.pyi"):
        ast.parse(files[file])
        assert "class State_(" in files[file] or "class State_:" in files[file]
    for name in Binder(record, "infer", set()).names:
        assert f"        {name}: ArrayLike,\n" in files["__init__.pyi"]
    fields = [f"    {name}: NDArray[np.float32]\n" for name in Results(record).several._fields]
    assert "class StateOutputs(NamedTuple):\n" + "".join(fields) in files["__init__.pyi"]


def test_stubs_type_check(tmp_path: Path) -> None:
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed")
    package = tmp_path / "model"
    package.mkdir()
    (package / "__init__.pyi").write_text(text_of(MODELS["feedback"](), "f32", "model")["__init__.pyi"])
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--cache-dir",
        str(tmp_path / "cache"),
        str(package / "__init__.pyi"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_equal_kernels_are_printed_once() -> None:
    """Two entry points and two layers share the body of a product."""
    text = files_of()["tiny.cpp"]
    bodies = re.findall(r"^SEQC_KERNEL static void \w+\((.*?)\n\}", text, re.S | re.M)
    assert len(bodies) == len(set(bodies))
    assert text.count("SEQC_KERNEL static void layer_Wx(") == 1
    assert text.count("kernels::layer_Wx(") == 2


def test_no_path_and_no_date_gets_into_the_text() -> None:
    for text in files_of().values():
        assert str(ROOT) not in text and not re.search(r"20\d\d-\d\d", text.replace("2020-12", ""))


def test_a_name_in_a_comment_declares_nothing() -> None:
    """The loop of `last(…)` says its name above it."""
    lines = ["  // loop over time, forward: z.last", "  move(end);  // last"]
    assert mentions(lines, "end") and not mentions(lines, "last")


def test_a_kernel_named_like_a_place_declares_nothing() -> None:
    """An output may be called as the text calls the last step, or the rows of a member."""
    lines = ["  kernels::end(rows.count, end_last + last * 5);"]
    assert mentions(lines, "last") and not mentions(lines, "end")
