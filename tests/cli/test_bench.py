"""`seqc bench` and the costs of `seqc show plan`: what they print and refuse. How fast anything is stands nowhere here."""

from __future__ import annotations

import json
import platform
from pathlib import Path

from tests.cli.tools import EXAMPLES, seqc

FAT = ("--march", "fat") if platform.machine() == "x86_64" else ()
"""A build that no other test times."""


def test_times_what_a_model_has(here: Path) -> None:
    done = seqc("bench", "tiny.seq", "--seconds", "0", "--steps", "5", "--batch", "2", "--json")
    assert done.code == 0
    found = json.loads(done.out)
    assert [row["entry"] for row in found["rows"]] == ["step", "infer", "update"]
    for row in found["rows"]:
        assert row["calls"] >= 11 and row["batch"] == 2
        assert 0 < row["p50"] <= row["p99"] <= row["worst"]
        assert row["workspace_bytes"] >= 0
    assert found["rates"]["measured"] and found["rates"]["operations"] > 1e8


def test_a_table_for_people_and_no_drawing_in_a_pipe(here: Path) -> None:
    done = seqc("bench", "tiny.seq", "--seconds", "0", "--entry", "infer", "--entry", "evaluate", *FAT)
    assert done.code == 0
    head, infer, evaluate, *_ = done.out.splitlines()
    assert head.split()[:4] == ["entry", "T", "B", "calls"]
    assert infer.startswith("infer") and evaluate.startswith("evaluate")
    assert "\x1b" not in done.out


def test_an_entry_point_that_is_not_there(here: Path) -> None:
    done = seqc("bench", "tiny.seq", "--entry", "upadte")
    assert done.code == 1 and "did you mean `update`?" in done.err


def test_show_plan_tells_costs_and_reasons() -> None:
    done = seqc("show", "plan", EXAMPLES / "charlm.seq", "--steps", "10", "--batch", "4", "--dim", "H=16")
    assert done.code == 0
    costs = done.out[done.out.index("costs at") :]
    assert costs.startswith("costs at T = 10, B = 4, one core")
    assert "product gemm" in costs and "plain:" in costs and "scan forward" in costs
    assert "no program takes less than" in costs


def test_doctor_measures() -> None:
    done = seqc("doctor", "--measure")
    assert "GFLOP/s; " in done.out and "reads" in done.out
