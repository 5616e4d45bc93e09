"""Several processes on one set of parameters: the caller owns the weights, so they may lie in memory that is shared."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tests.compiled.client import Client
from tests.compiled.compare import make
from tests.numeric.programs import lower_text
from tests.theano.golden import ROOT, Lab, close

CHILD = """
import sys
from pathlib import Path
import numpy as np
from tests.theano.test_shared import rows, shared
folder = Path(sys.argv[1])
code, _ = shared(folder).update(rows(2), None, 3, 2)
sys.exit(code)
"""


def rows(seed: int) -> list[Any]:
    """Inputs and targets of one minibatch."""
    random = np.random.default_rng(seed)
    return [random.normal(size=(3, 2, 2)) for _ in range(2)]


def shared(folder: Path) -> Client:
    """A client of the library in a folder whose weights are the file `weights`, mapped."""
    client = Client(folder / "libmodel.so", (folder / "model.json").read_text(encoding="utf-8"))
    client.plain = np.memmap(folder / "weights", np.uint8, "r+")
    return client


def test_processes_share_one_set_of_parameters(lab: Lab, tmp_path: Path) -> None:
    """What one process learns, the other has: two updates in two processes are two updates in one."""
    alone = make(lower_text(lab.texts["sgd"]), "f64", tmp_path).client
    (tmp_path / "weights").write_bytes(alone.plain.tobytes())
    mine = shared(tmp_path)
    for client in (alone, mine):
        assert client.update(rows(1), None, 3, 2)[0] == 0
    assert alone.update(rows(2), None, 3, 2)[0] == 0
    before = np.array(mine.parameters()["l1.W"])
    subprocess.run([sys.executable, "-c", CHILD, str(tmp_path)], cwd=ROOT, check=True, timeout=120)
    assert (mine.parameters()["l1.W"] != before).any()
    for name, array in alone.parameters().items():
        close(mine.parameters()[name], array, 1e-14, name)
