"""What a build writes: a package that needs no seqc, a static library in a C program, an executable, a dependency file."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqc as doors
from tests.cli.tools import EXAMPLES, ROOT, environment, process, seqc

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror")

USE = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy, tiny
assert not any(name.split(".")[0] in ("seqc", "lark", "jinja2", "typer") for name in sys.modules)
model = tiny.Tiny(weights=sys.argv[2])
x = numpy.linspace(-1, 1, 12, dtype="f4").reshape(6, 2)
print(" ".join(float(each).hex() for each in model.infer(x)))
model.update(x, numpy.zeros(6, "f4"))
print(" ".join(float(each).hex() for each in model.params["w"]))
"""


def test_a_package_runs_where_seqc_is_not(here: Path) -> None:
    assert seqc("build", "tiny.seq", "-o", "made").code == 0
    model = doors.load(here / "tiny.seq", seed=7)
    model.save(here / "w.safetensors")
    command = [sys.executable, "-I", "-c", USE, str(here / "made"), str(here / "w.safetensors")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=here)
    assert done.returncode == 0, done.stderr
    x = np.linspace(-1, 1, 12, dtype=np.float32).reshape(6, 2)
    outputs, weights = done.stdout.splitlines()
    assert outputs.split() == [float(each).hex() for each in model.infer(x)]
    model.update(x, np.zeros(6, np.float32))
    assert weights.split() == [float(each).hex() for each in model.params["w"]]


def test_a_package_is_a_folder_to_load_and_to_move(here: Path) -> None:
    assert seqc("build", "tiny.seq", "-o", "made").code == 0
    moved = here / "some where else's" / "tiny"
    shutil.move(here / "made" / "tiny", moved)
    x = np.ones((4, 2), np.float32)
    assert np.array_equal(doors.load(moved).infer(x), doors.load(here / "tiny.seq").infer(x))


def test_quiet_builds_say_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what was written nor a remark on the way."""
    monkeypatch.setenv("SEQC_CACHE", str(here / "tiny.seq"))  # no folder
    words = ("build", "tiny.seq", "-o", "made", "--emit", "header")
    assert "the cache folder" in seqc(*words).err
    quiet = seqc(*words, "--quiet")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")


def test_names_with_blanks_and_quotes(here: Path) -> None:
    folder = here / 'a folder\'s "name" $HOME'
    folder.mkdir()
    path = folder / "my tiny.seq"
    shutil.copy(here / "tiny.seq", path)
    done = process("build", path, "-o", folder / "out put", "--emit", "static,header", "--march", "")
    assert done.code == 0, done.err
    assert (folder / "out put" / "libtiny.a").is_file()


def test_everything_at_once_and_a_dependency_file(here: Path) -> None:
    done = seqc(
        "build", "tiny.seq", "-o", "made", "--emit", "exe,shared,py,static,header", "--depfile", "made.d"
    )
    assert done.code == 0, done.err
    made = here / "made"
    for name in (
        "tiny.h",
        "seqc_abi.h",
        "seqc_team.h",
        "libtiny.so",
        "libtiny.a",
        "tiny.json",
        "bin/tiny",
        "tiny/__init__.py",
    ):
        assert (made / name).is_file(), name
    targets, sources = (here / "made.d").read_text().split(": ")
    assert "made/libtiny.a" in targets.split() and str(here / "tiny.seq") in sources.split()
    assert targets.split()[0] == "made/tiny.h"  # as Ninja wants it
    (here / "tiny.seq").touch()
    assert seqc("build", "tiny.seq", "-o", "made", "--emit", "header").code == 0
    assert (made / "tiny.h").stat().st_mtime >= (here / "tiny.seq").stat().st_mtime


@pytest.mark.skipif(not (shutil.which("cmake") and shutil.which("ninja")), reason="no CMake and Ninja")
def test_ninja_builds_a_model_once(here: Path) -> None:
    (here / "CMakeLists.txt").write_text(
        f"cmake_minimum_required(VERSION 3.16)\nproject(once NONE)\ninclude({ROOT}/cmake/SeqcModel.cmake)\n"
        "seqc_add_model(NAME z SOURCE tiny.seq ARGS --deploy d)\n"
    )
    with (here / "tiny.seq").open("a") as stream:
        stream.write("deploy d of Tiny { math = f64  mode = streaming }\n")
    tool = here / "seqc"
    tool.write_text(f'#!/bin/sh\nexec {sys.executable} -m seqc "$@"\n')
    tool.chmod(0o755)

    def run(*words: str) -> str:
        done = subprocess.run(["cmake", *words], capture_output=True, text=True, env=environment())
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("-G", "Ninja", "-B", "out", f"-DSEQC_EXECUTABLE={tool}", ".")
    run("--build", "out", "--target", "z_seqc")
    assert "no work to do" in run("--build", "out", "--target", "z_seqc")


def test_a_dependency_file_never_takes_the_place_of_a_source(here: Path) -> None:
    before = (here / "tiny.seq").read_bytes()
    done = seqc("build", "tiny.seq", "--depfile", "tiny.seq")
    assert done.code == 1 and "choose another name with `--depfile`" in done.err
    assert (here / "tiny.seq").read_bytes() == before


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_c_example_agrees_with_python_to_the_bit(here: Path, compiler: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    model = doors.load(EXAMPLES / "amp.seq", seed=3)
    model.save(here / "amp.safetensors")
    built = seqc(
        "build", EXAMPLES / "amp.seq", "-o", "made", "--emit", "static,header", "--weights", "amp.safetensors"
    )
    assert built.code == 0, built.err
    main = EXAMPLES / "c" / "main.c"
    command = [compiler, *STRICT, "-Imade", str(main), "made/libamp.a", "-lm", "-o", "player"]
    assert subprocess.run(command, capture_output=True, text=True).stderr == ""
    samples = np.sin(np.arange(50, dtype=np.float32) / 7)
    text = "\n".join(repr(float(each)) for each in samples)
    done = subprocess.run(["./player"], input=text, capture_output=True, text=True, check=True)
    state = model.state()
    expected = [float(model.step(each, np.float32(0.5), state=state)) for each in samples]
    assert [float.fromhex(each) for each in done.stdout.split()] == expected


def test_the_executable_streams_what_python_gives(here: Path) -> None:
    model = doors.load(here / "tiny.seq", seed=5)
    model.save(here / "w.safetensors")
    built = seqc("build", "tiny.seq", "-o", "made", "--emit", "exe", "--weights", "w.safetensors")
    assert built.code == 0, built.err
    x = np.random.default_rng(1).normal(size=(20, 2)).astype(np.float32)
    rows = ["left,right", *(f"{float(a)!r},{float(b)!r}" for a, b in x)]
    done = subprocess.run(["made/bin/tiny"], input="\n".join(rows), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = [np.float32(line) for line in done.stdout.split() if line[0] in "-0123456789"]
    state = model.state()
    assert found == [model.step(each, state=state) for each in x]
    raw = subprocess.run(["made/bin/tiny", "--raw"], input=x.tobytes(), capture_output=True)
    assert np.array_equal(np.frombuffer(raw.stdout, np.float32), np.array(found))
    wrong = subprocess.run(["made/bin/tiny"], input="1,2\n3,four\n", capture_output=True, text=True)
    assert wrong.returncode == 1 and "step 1" in wrong.stderr


TWO = """
model Two {
  input a: real
  input b: real
  output y = a - 2 * b
}
"""


def test_the_executable_says_what_it_does_not_take(here: Path) -> None:
    (here / "two.seq").write_text(TWO, encoding="utf-8")
    built = seqc("build", "two.seq", "-o", "made", "--emit", "exe")
    assert built.code == 0, built.err

    def run(text: str, *options: str, **more: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["made/bin/two", *options], input=text, capture_output=True, text=True, **more)

    for heading in ("", "a,b\n", "left;right\n", '"a"\t"b"\n', "# anything\n"):
        done = run(f"{heading}3,1\n")
        assert (done.returncode, done.stdout) == (0, "1\n"), heading
    for first in ("b,a\n", "O.5,1\n", "a\n", "a,b,c\n"):
        done = run(f"{first}3,1\n")
        assert done.returncode == 1 and "step 0" in done.stderr and not done.stdout, first
    for options in (("--steps", "a"), ("--steps", "-1"), ("--seed", "1x"), ("--seed=1x",), ("--steps=",)):
        done = run("3,1\n", *options)
        assert done.returncode == 1 and "expected a whole number" in done.stderr, options
    if Path("/dev/full").exists():
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(["made/bin/two"], input="3,1\n", stdout=full, stderr=-1, text=True)
        assert done.returncode == 1 and "output: cannot be written" in done.stderr


KNOBS = """
model Knobs {
  input  x: real
  input  gain: real once
  hyper  taps: int = 2
  hyper  end: index(9) = 3
  input  k: index(4)
  output y = gain * x * real(taps) + real(end) + real(k)
}
"""


def test_what_is_set_for_the_executable_is_checked(here: Path) -> None:
    (here / "knobs.seq").write_text(KNOBS, encoding="utf-8")
    assert seqc("build", "knobs.seq", "-o", "made", "--emit", "exe").code == 0

    def run(text: str, *values: str) -> subprocess.CompletedProcess[str]:
        options = [part for value in values for part in ("--set", value)]
        return subprocess.run(["made/bin/knobs", *options], input=text, capture_output=True, text=True)

    assert (run("1,2\n", "gain=3").stdout, run("1,2\n", "gain=3", "taps=4", "end=8").stdout) == (
        "11\n",
        "22\n",
    )
    refused = {
        ("1,2\n",): "input `gain`: not set; give --set NAME=NUMBERS",
        ("1,2\n", "gain=3", "taps=2.5"): "expected a whole number",
        ("1,2\n", "gain=3", "end=9"): "expected a whole number from 0 to 8",
        ("1,2\n", "gain=3", "taps=1e300"): "expected a whole number",
        ("1,2\n", "gain=3,4"): "expected 1 numbers",
        ("1,2\n1,4\n", "gain=3"): "input `k`: step 1: 4 is an index out of range",
    }
    for (text, *values), said in refused.items():
        done = run(text, *values)
        assert done.returncode == 1 and said in done.stderr, (values, done.stderr)


def test_an_executable_without_inputs_asks_for_steps(here: Path) -> None:
    text = "model Count { state n: real = 0  n = prev n + 1  output n }"
    (here / "count.seq").write_text(text, encoding="utf-8")
    assert seqc("build", "count.seq", "-o", "made", "--emit", "exe").code == 0
    done = subprocess.run(["made/bin/count"], capture_output=True, text=True)
    assert done.returncode == 1 and "give --steps N" in done.stderr
    done = subprocess.run(["made/bin/count", "--steps=3"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "1\n2\n3\n")


SIZED = """
use std.cells: Both, GRU
model Sized { input x: real[2]  output y = (x |> Both(GRU(2)))[0] }
deploy eight of Sized { batch = 8  emit = [exe] }
deploy five of Sized { batch = 1  steps = 5  emit = [exe, py] }
"""


def test_sizes_of_a_profile_are_said(here: Path) -> None:
    (here / "sized.seq").write_text(SIZED, encoding="utf-8")
    refused = seqc("build", "sized.seq", "-o", "made", "--deploy", "eight")
    assert refused.code == 1 and "a program of `batch = 8` could never run" in refused.err
    assert seqc("build", "sized.seq", "-o", "made", "--deploy", "five").code == 0
    model = doors.load(here / "sized.seq", seed=5)
    model.save(here / "w.safetensors")
    command = ["made/bin/sized", "--weights", "w.safetensors"]
    done = subprocess.run(command, input="1,2\n" * 5, capture_output=True, text=True)
    assert done.returncode == 0 and len(done.stdout.split()) == 5
    done = subprocess.run(command, input="1,2\n" * 4, capture_output=True, text=True)
    assert done.returncode == 1 and "4 steps, and this program takes 5" in done.stderr
    code = "import sized, numpy as np; sized.Sized().infer(np.zeros((4, 2), np.float32))"
    done = subprocess.run([sys.executable, "-c", code], cwd=here / "made", capture_output=True, text=True)
    assert "`infer` takes 5 steps of 1 row: the profile of this build names no other size" in done.stderr


def test_what_is_asked_for_goes_before_a_profile_or_is_refused(here: Path) -> None:
    """A library for another processor than was asked for would stop on it."""
    text = SIZED + 'deploy old of Sized { cpu = "pdp11" }\n'
    (here / "sized.seq").write_text(text, encoding="utf-8")
    common = ["build", "sized.seq", "-o", "made", "--emit", "header", "--deploy"]
    refused = seqc(*common, "five", "--march", "pdp11")
    assert refused.code == 2 and "no processor `pdp11`" in refused.err
    assert seqc(*common, "old").code == 2 and seqc(*common, "old", "--march", "native").code == 0
    refused = seqc(*common, "five", "--real", "f64")
    assert refused.code == 1 and "`--real f64` does not go with the profile `five`" in refused.err


@pytest.mark.parametrize(
    ("file", "model", "name"),
    [
        ("stdint", "M", "stdint_"),
        ("random", "M", "random_"),
        ("class", "Class", "class_"),
        ("my model", "M", "m_"),
    ],
)
def test_names_that_the_system_has_are_changed(here: Path, file: str, model: str, name: str) -> None:
    (here / f"{file}.seq").write_text(f"model {model} {{ input x: real  output y = x }}", encoding="utf-8")
    done = seqc("build", f"{file}.seq", "-o", "made", "--emit", "header,static")
    assert done.code == 0, done.err
    assert (here / "made" / f"{name}.h").is_file() and (here / "made" / f"lib{name}.a").is_file()


@pytest.mark.parametrize("name", ["math", "m", "seqc_abi", "numpy", "json"])
def test_names_that_the_system_has_are_refused(here: Path, name: str) -> None:
    done = seqc("build", "tiny.seq", "-o", "made", "--emit", "header", "--name", name)
    assert done.code == 1 and f"the name `{name}` is taken" in done.err and f"--name {name}_model" in done.err


def test_a_parameter_may_be_called_like_a_gap(here: Path) -> None:
    text = "model P { input x: real  param pad_1: real = ones  output y = pad_1 * x }"
    (here / "pads.seq").write_text(text, encoding="utf-8")
    assert seqc("build", "pads.seq", "-o", "made", "--emit", "header,static").code == 0


@pytest.mark.parametrize("name", ["../x", "a/b", "a b", "1a", "class", 'a"b', "*"])
def test_names_that_no_module_can_have(here: Path, name: str) -> None:
    done = seqc("build", "tiny.seq", "-o", "made", "--emit", "header", "--name", name)
    assert done.code == 1 and "is no name of a module" in done.err
    assert not (here / "made").exists()


def test_equal_bytes_wherever_built(here: Path) -> None:
    """Two folders, two caches, two seeds of Python's hashes, two time zones."""
    found = []
    for number, zone in ((1, "UTC"), (2, "Asia/Tokyo")):
        folder = here / ("deep/" * number) / f"f{number}"
        folder.mkdir(parents=True)
        shutil.copy(here / "tiny.seq", folder)
        env = {"SEQC_CACHE": str(folder / "c"), "PYTHONHASHSEED": str(number), "TZ": zone}
        done = process(
            "build", "tiny.seq", "-o", "made", "--emit", "py,header,static,shared,exe", env=env, cwd=folder
        )
        assert done.code == 0, done.err
        made = folder / "made"
        found.append(
            {
                str(each.relative_to(made)): each.read_bytes()
                for each in sorted(made.rglob("*"))
                if each.is_file()
            }
        )
    assert list(found[0]) == list(found[1])
    assert [name for name in found[0] if found[0][name] != found[1][name]] == []


def test_an_unchanged_build_is_quick(here: Path) -> None:
    """It loads neither numpy nor the parser; on a quiet machine it takes a fifth of a second."""
    assert seqc("build", "tiny.seq", "-o", "made").code == 0
    code = "import sys\nsys.argv = ['seqc', 'build', 'tiny.seq', '-o', 'made']\nimport atexit, json\n"
    code += "atexit.register(lambda: print(json.dumps(sorted(sys.modules))))\nfrom seqc.cli.main import main\nmain()\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr
    loaded = {name.split(".")[0] for name in json.loads(done.stdout)}
    assert not loaded & {"numpy", "lark", "jinja2", "rich", "matplotlib"}


MACROS = """use std.optim: SGD

model SEQC_OK {
  dim    SEQC_TILES = 2
  hyper  SEQC_RATE = 0.5
  input  SEQC_INLINE: real[SEQC_TILES]
  target SEQC_BAD_CALL: real
  param  SEQC_KERNEL: real[SEQC_TILES] = normal(0.5)
  state  SEQC_UNROLL = 0

  SEQC_UNROLL = tanh(SEQC_RATE * prev SEQC_UNROLL + sum(SEQC_KERNEL * SEQC_INLINE))

  output SEQC_UNROLL
  loss = mean((SEQC_UNROLL - SEQC_BAD_CALL) ^ 2 over time, batch)
  metric SEQC_OWN = mean(abs(SEQC_UNROLL - SEQC_BAD_CALL) over time, batch)
}

train SEQC_OK { update = SGD(lr = 0.1) }
"""


def test_names_of_the_macros_of_the_runtime_are_names(here: Path) -> None:
    (here / "macros.seq").write_text(MACROS)
    (here / "SEQC_INFER.seq").write_text(MACROS)
    model = doors.load("macros.seq", engine="library")
    x = np.ones((3, 4, 2), np.float32)
    assert model.infer(x).shape == (3, 4) and model.update(x, x[..., 0]) > 0
    done = seqc("build", "SEQC_INFER.seq", "-o", "made", "--emit", "py,header,static,exe")
    assert done.code == 0, done.err
    assert doors.load("made/SEQC_INFER").infer(x).shape == (3, 4)
