"""A written package: it opens from its folder, needs neither seqc nor anything heavy, and says what does not fit."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import seqc.run
from seqc.run import ModelError, open_package
from seqc.run.package import RUN_FILES
from tests.run.conftest import manifest


@pytest.fixture
def folder(library: Path, tmp_path: Path) -> Path:
    """What `seqc build` writes, by hand."""
    folder = tmp_path / "toy"
    (folder / "_run").mkdir(parents=True)
    here = Path(seqc.run.__file__).parent
    for path in [*(here / name for name in RUN_FILES), *here.glob("_host*.so")]:
        shutil.copy(path, folder / "_run")
    shutil.copy(library, folder)
    (folder / "model.json").write_text(json.dumps(manifest()))
    text = "from pathlib import Path\n\nfrom ._run import ModelError, model_class\n\n"
    (folder / "__init__.py").write_text(text + "Toy = model_class(Path(__file__).parent)\n")
    return folder


USE = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy
before = set(sys.modules)
import toy
new = sorted(each for each in set(sys.modules) - before if not each.startswith("toy"))
assert not any(name.split(".")[0] in ("seqc", "lark", "jinja2", "rich", "matplotlib") for name in new), new
model = toy.Toy()
assert model.infer(numpy.ones((4, 2), "f4"), 1.0, numpy.zeros(4, "i4")).shape == (4,)
history = model.fit(numpy.ones((4, 6, 2), "f4"), numpy.ones(6, "f4"), numpy.zeros((4, 6), "i4"),
                    numpy.zeros((6, 2), "f4"), epochs=2, quiet=True)
try:
    model.infer(1)
except toy.ModelError as error:
    print(len(history.records), type(model).__name__, model.params["net.W"].tolist())
"""


def test_runs_where_seqc_is_not_installed(folder: Path) -> None:
    command = [sys.executable, "-I", "-c", USE, str(folder.parent)]
    found = subprocess.run(command, capture_output=True, text=True, cwd=folder.parent)
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("2 toy [")


def test_weights_beside_the_library_are_taken(folder: Path, tmp_path: Path) -> None:
    model = open_package(folder)
    again = open_package(folder)
    np.testing.assert_array_equal(model.params["net.W"], again.params["net.W"])
    assert not np.array_equal(model.params["net.W"], open_package(folder, seed=1).params["net.W"])
    model.params["net.W"] = [3.0, 4.0]
    model.save(folder / "toy.safetensors")
    assert open_package(folder).params["net.W"].tolist() == [3.0, 4.0]
    model.params["net.W"] = [5.0, 6.0]
    model.save(tmp_path / "other")
    assert open_package(folder, weights=tmp_path / "other").params["net.W"].tolist() == [5.0, 6.0]


def test_what_does_not_fit_is_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot read"):
        open_package(tmp_path)
    record = manifest()
    for change, text in [
        ({"source_hash": "other"}, "belongs to another build: `source_hash` is hash"),
        ({"real": "f64"}, "`real_bytes` is 4, its manifest says 8"),
        ({"schema": 2}, "expected a manifest of schema 1, found 2"),
        ({"library": "none.so"}, "cannot load none.so"),
        ({"name": "tooy"}, "has no symbol `tooy_get`"),
    ]:
        (folder / "model.json").write_text(json.dumps({**record, **change}))
        with pytest.raises(ModelError, match=text):
            open_package(folder)
    (folder / "model.json").write_text("{")
    with pytest.raises(ModelError, match="is not a manifest"):
        open_package(folder)


def test_a_package_that_was_built_anew_is_loaded_anew(folder: Path) -> None:
    """Also where this process has loaded what lay there before."""
    earlier = open_package(folder)
    library = folder / str(manifest()["library"])
    other = library.read_bytes().replace(b"\0hash\0", b"\0hush\0")
    library.unlink()
    library.write_bytes(other)
    (folder / "model.json").write_text(json.dumps({**manifest(), "source_hash": "hush"}))
    later = open_package(folder)
    assert [each.engine.library.source_hash for each in (earlier, later)] == ["hash", "hush"]


def test_every_file_but_the_evaluator_is_copied() -> None:
    here = Path(seqc.run.__file__).parent
    assert sorted(RUN_FILES) == sorted(path.name for path in here.glob("*.py") if path.name != "evaluator.py")
