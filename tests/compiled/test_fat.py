"""Fat builds: one library for several instruction sets, each of which gives the model's results."""

from __future__ import annotations

import json
import platform
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqc
from seqc.driver import resources, toolchain
from seqc.driver.build import build
from seqc.driver.fault import ToolFault
from seqc.driver.options import Options
from seqc.driver.toolchain import LEVELS
from seqc.driver.translate import Translation, translate
from seqc.run.library import LibraryEngine
from seqc.run.model import Model
from seqc.run.package import open_package

X86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="fat builds are for x86-64")

PLANT = """
use std.cells: Dense, GRU
use std.optim: Adam

model Plant {
  input  u: real[2]
  target y: real
  z = (u |> GRU(19) |> Dense(1))[0]
  output z
  loss = mean((z - y) ^ 2 over time, batch)
}

train Plant { update = Adam() }
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "plant.seq"
    file.write_text(PLANT, encoding="utf-8")
    return file


def data() -> tuple[Any, Any]:
    draw = np.random.default_rng(4)
    return draw.normal(size=(9, 3, 2)).astype(np.float32), draw.normal(size=(9, 3)).astype(np.float32)


def runnable(march: str) -> bool:
    """Whether this CPU has all that a level of a fat build asks for."""
    flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    names = {"bmi": "bmi1"}
    return all(names.get(feature, feature) in flags for feature in dict(LEVELS)[march])


def opened(translation: Translation, folder: Path) -> list[tuple[str, Model]]:
    """Every variant that this CPU runs, from a library that shows their getters."""
    for name, text in translation.texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    objects = []
    for name, tools in translation.units:
        flags = [each for each in tools.arguments() if each != "-fvisibility=hidden"]
        include = [f"-I{resources.runtime()}", f"-I{folder}"]
        target = folder / f"{name}.o"
        subprocess.run([*flags, *include, "-c", str(folder / name), "-o", str(target)], check=True)
        objects.append(str(target))
    library = folder / "all.so"
    tools = translation.units[0][1]
    subprocess.run([*tools.command(), "-shared", "-o", str(library), *objects, *toolchain.LINK], check=True)
    manifest = json.loads(translation.texts["plant.json"])
    found = []
    for march, _ in LEVELS:
        if runnable(march):
            own = {**manifest, "symbol": "plant_" + march.replace("-", "_")}
            found.append((march, Model(LibraryEngine(own, library), 5)))
    return found


@X86
def test_every_level_gives_the_results_of_the_model(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    variants = opened(translate(source, Options(march="fat"), ("shared",), lambda _: None), folder)
    assert variants[0][0] == "x86-64-v2"
    exact = seqc.load(source, engine="evaluator", real="f64", seed=5)
    u, y = data()
    for march, model in variants:
        for name, value in exact.params.items():
            model.params[name][...] = value
        assert np.allclose(model.infer(u), exact.infer(u), rtol=0, atol=1e-6), march
        ours, theirs = model.gradients(u, y).parameters, exact.gradients(u, y).parameters
        for name, value in theirs.items():
            assert np.allclose(ours[name], value, rtol=0, atol=1e-5), (march, name)


@X86
def test_a_fat_package_and_its_header(source: Path, tmp_path: Path) -> None:
    build(source, tmp_path / "fat", emit=("py", "header", "static"), options=Options(march="fat"))
    model = open_package(tmp_path / "fat" / "plant", seed=5)
    u, y = data()
    assert np.allclose(model.infer(u), seqc.load(source, seed=5).infer(u), rtol=0, atol=1e-6)
    first = float(model.update(u, y))
    assert float(model.update(u, y)) < first
    sizes = []
    for march, _ in LEVELS:
        build(source, tmp_path / march, emit=("header",), options=Options(march=march))
        sizes.append(packed_bytes(tmp_path / march / "plant.h"))
    assert packed_bytes(tmp_path / "fat" / "plant.h") == max(sizes)


def packed_bytes(header: Path) -> int:
    lines = header.read_text(encoding="utf-8").splitlines()
    return int(next(line.split()[-1] for line in lines if "PLANT_PACKED_BYTES" in line))


def test_elsewhere_a_fat_build_is_refused(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probe = toolchain.probe

    def arm(wanted: str | None = None, march: str = "native") -> toolchain.Toolchain:
        return replace(probe(wanted, march), features=("__aarch64__",))

    monkeypatch.setattr(toolchain, "probe", arm)
    with pytest.raises(ToolFault, match="x86-64"):
        translate(source, Options(march="fat"), ("shared",), lambda _: None)
