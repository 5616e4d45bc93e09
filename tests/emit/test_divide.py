"""A library in several files: all of its kernels, each once, formatted, without warnings, and the same results bit for bit."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from seqc.driver.options import Options
from seqc.driver.translate import Translation, translate
from seqc.run.library import LibraryEngine
from seqc.run.model import Model
from tests.compiled.client import FLAGS, RUNTIME, STRICT
from tests.compiled.test_fat import X86

ROOT = Path(__file__).resolve().parents[2]
PLANT = """
use std.cells: Dense, GRU, LSTM
use std.optim: Adam

model Plant {
  input  u: real[2]
  target y: real
  z = (u |> LSTM(19) |> GRU(6) |> Dense(1))[0]
  output z
  loss = mean((z - y) ^ 2 over time, batch)
}

train Plant { update = Adam() }
"""

KERNEL = re.compile(r"^(?:SEQC_KERNEL static )?void (\w+)\(([^{;]*?)\) \{\n(.*?)\n\}$", re.S | re.M)
DECLARATION = re.compile(r"^void (\w+)\(([^{;]*?)\);$", re.S | re.M)


def translated(folder: Path, divided: bool, march: str = "native") -> Translation:
    source = folder / "plant.seq"
    source.write_text(PLANT, encoding="utf-8")
    return translate(source, Options(march=march), ("shared",), lambda _: None, divided)


def kernels(text: str) -> list[tuple[str, str, str]]:
    """Name, parameters and body of each, however their lines are broken."""
    return [(name, " ".join(given.split()), body) for name, given, body in KERNEL.findall(text)]


def sources(texts: Mapping[str, str]) -> dict[str, str]:
    return {
        name: text for name, text in texts.items() if name.endswith((".cpp", ".hpp")) and "_main" not in name
    }


def test_every_kernel_stands_in_one_file(tmp_path: Path) -> None:
    whole, files = translated(tmp_path, False), translated(tmp_path, True)
    assert [name for name, _ in whole.units] == ["plant.cpp"]
    names = [name for name, _ in files.units]
    assert names == ["plant.cpp", *(f"plant_part_{k}.cpp" for k in range(1, len(names)))] and len(names) > 2
    together = [kernel for name in names for kernel in kernels(files.texts[name])]
    assert together == kernels(whole.texts["plant.cpp"])
    declared = DECLARATION.findall(files.texts["plant_parts.hpp"])
    assert [name for name, _ in declared] == [name for name, _, _ in together]
    lengths = [files.texts[name].count("\n") for name in names[1:]]
    assert max(lengths) < 3 * min(lengths)
    for entry in ("evaluate", "gradients", "apply", "update", "infer", "step"):
        assert sum(files.texts[name].count(f" {entry}_nodes(const Frame") for name in names) == 1


def test_a_small_library_has_one_file(tmp_path: Path) -> None:
    source = tmp_path / "mean.seq"
    source.write_text("model Mean { input x: real[3]\n y = mean(x)\n output y }", encoding="utf-8")
    texts = translate(source, Options(), ("shared",), lambda _: None).texts
    assert list(sources(texts)) == ["mean.cpp"]


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_files_compile_without_warnings(compiler: str, tmp_path: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    files = translated(tmp_path, True, march="")
    for file, text in files.texts.items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    names = [name for name, _ in files.units]
    command = [compiler, *FLAGS, *STRICT, "-O0", "-fsyntax-only", f"-I{RUNTIME}", *names]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:3000]


@X86
@pytest.mark.parametrize("march", ["native", "fat"])
def test_files_are_formatted(march: str, tmp_path: Path) -> None:
    formatter = Path(sys.executable).with_name("clang-format")
    if not formatter.exists():
        pytest.skip("clang-format is not installed")
    (tmp_path / ".clang-format").write_text((ROOT / ".clang-format").read_text())
    found = sources(translated(tmp_path, True, march).texts)
    for name, text in found.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    command = [str(formatter), "--dry-run", "-Werror", *found]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:2000]


def test_results_are_the_same_bits(tmp_path: Path) -> None:
    """An update, then outputs, of one file and of several."""
    draw = np.random.default_rng(4)
    u, y = draw.normal(size=(9, 3, 2)).astype(np.float32), draw.normal(size=(9, 3)).astype(np.float32)
    found = []
    for divided in (False, True):
        made = translated(tmp_path, divided)
        folder = tmp_path / f"divided {divided}"
        folder.mkdir()
        made.make(folder)
        model = Model(LibraryEngine(json.loads(made.texts["plant.json"]), folder / "libplant.so"), 5)
        found.append((float(model.update(u, y)), np.asarray(model.infer(u)), dict(model.params)))
    (loss, out, params), (loss2, out2, params2) = found
    assert loss == loss2 and np.array_equal(out, out2)
    assert all(np.array_equal(value, params2[name]) for name, value in params.items())
