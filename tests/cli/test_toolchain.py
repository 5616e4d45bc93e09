"""Compilers that are missing, fail, crash or ask for a place that cannot be written: a sentence and exit code 2."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.cli.tools import Done, process, seqc


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def build(here: Path, **env: str | None) -> Done:
    """A build that no cache can shorten; nothing may be left where it was asked for."""
    done = process("build", "tiny.seq", "-o", "made", env={"SEQC_CACHE": str(here / "own"), **env})
    if done.code:
        assert not (here / "made").exists() or not list((here / "made").iterdir())
    return done


def test_no_compiler(here: Path) -> None:
    (here / "empty").mkdir()
    done = build(here, PATH=str(here / "empty"), CXX=None)
    assert done.code == 2
    assert "error[S0901]: no C++ compiler found" in done.err and "apt install g++" in done.err


def test_without_a_compiler_everything_else_works(here: Path) -> None:
    (here / "empty").mkdir()
    nothing = {"PATH": str(here / "empty"), "CXX": None}
    assert process("check", "tiny.seq", env=nothing).code == 0
    assert process("fmt", "--check", "tiny.seq", env=nothing).code == 0
    done = process("doctor", env=nothing)
    assert done.code == 2 and "no  C++ compiler" in done.out and "apt install g++" in done.out


def test_a_compiler_that_is_not_there(here: Path) -> None:
    done = build(here, CXX="/nowhere/c++")
    assert done.code == 2 and "`/nowhere/c++`" in done.err


def test_a_compiler_with_words_behind_it(here: Path) -> None:
    """As caches of compilers and kits for other machines are named; a path from here, too."""
    script(here / "my g++", 'test "$1" != -DKIT && exit 1; shift; exec g++ "$@"')
    assert build(here, CXX="./my g++").code == 2  # a name with a blank
    assert build(here, CXX="'./my g++' -DKIT").code == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("exit 0", "has written nothing"),
        ("exit 1", "asking the compiler for its version"),
        ('case "$*" in *-shared*) echo "no math.h" >&2; exit 1;; *) exec g++ "$@";; esac', "no math.h"),
    ],
)
def test_the_doctor_tries_the_compiler(here: Path, text: str, said: str) -> None:
    done = process("doctor", env={"CXX": str(script(here / "broken", text))})
    assert done.code == 2 and said in done.out and "generated code" not in done.out
    assert "name another with `--compiler`" in done.out and "also g++" in done.out


def test_a_compiler_that_is_no_program(here: Path) -> None:
    path = here / "compiler"
    path.write_bytes(b"\x00\x01\x02\x03")
    path.chmod(0o755)
    done = build(here, CXX=str(path))
    assert done.code == 2 and "error[S0902]" in done.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo 'out of cheese' >&2; exit 1", "out of cheese"),
        ("kill -SEGV $$", "signal 11"),
        ("kill -KILL $$", "signal 9"),
        ("for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do echo line $i >&2; done; exit 4", "…"),
    ],
)
def test_a_compiler_that_fails(here: Path, text: str, said: str) -> None:
    done = build(here, CXX=str(script(here / "broken", text)))
    assert done.code == 2
    assert "error[S0903]" in done.err and said in done.err


def test_a_compiler_that_fails_late(here: Path) -> None:
    """It answers questions and then cannot compile."""
    text = 'case "$*" in *" -c "*) echo "no space in my head" >&2; exit 1;; *) exec g++ "$@";; esac'
    done = build(here, CXX=str(script(here / "late", text)))
    assert done.code == 2
    assert "no space in my head" in done.err and "compiling tiny.cpp" in done.err
    assert build(here).code == 0


def test_no_package_for_another_machine(here: Path) -> None:
    """It would carry the host extension of this one."""
    text = 'case "$*" in *-dM*) echo "#define __riscv 1";; *dumpm*) echo riscv64-linux-gnu;; *) exec g++ "$@";; esac'
    done = build(here, CXX=str(script(here / "cross", text)))
    assert (
        done.code == 1 and "builds for riscv64-linux-gnu" in done.err and "--emit header,static" in done.err
    )


def test_an_unknown_processor(here: Path) -> None:
    done = process("build", "tiny.seq", "-o", "made", "--march", "pdp11")
    assert done.code == 2 and "pdp11" in done.err


def test_output_that_cannot_be_written(here: Path) -> None:
    (here / "made").write_text("a file")
    done = seqc("build", "tiny.seq", "-o", "made")
    assert done.code == 2 and "error[S0904]" in done.err
    assert (here / "made").read_text() == "a file"
    (here / "folder" / "tiny.json").mkdir(parents=True)
    done = seqc("build", "tiny.seq", "-o", "folder", "--emit", "header")
    assert done.code == 2 and "tiny.json" in done.err and "nothing was changed" in done.err
    assert [each.name for each in (here / "folder").iterdir()] == ["tiny.json"]


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX system")
def test_loading_without_a_compiler_runs_in_numpy(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    from seqc.driver.load import load

    (here / "empty").mkdir()
    monkeypatch.setenv("PATH", str(here / "empty"))
    monkeypatch.delenv("CXX", raising=False)
    heard: list[str] = []
    model = load(here / "tiny.seq", note=heard.append)
    assert heard and model.infer(np.ones((3, 2), np.float32)).shape == (3,)


def test_a_processor_that_the_compiler_does_not_know(here: Path) -> None:
    done = seqc("build", "tiny.seq", "-o", "made", "--march", "bogus")
    assert done.code == 2 and "the C++ compiler knows no processor `bogus`" in done.err
    assert "or `--march=` for a portable build" in done.err and "--compiler aarch64-linux-gnu-g++" in done.err
