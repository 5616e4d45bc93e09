"""Training and generation from the command line: folders of runs, resumption after a kill, texts, and what is refused."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from seqc.driver.train import told
from tests.cli.tools import command, environment, process, seqc

TEXT = "abcab dabcd abcd dabc\n" * 40


@pytest.fixture
def text(here: Path) -> Path:
    path = here / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture
def arrays(here: Path) -> Path:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(8, 6, 2)).astype(np.float32)
    np.savez(here / "data.npz", x=x, y=np.tanh(x.sum(2)).astype(np.float32))
    return here / "data.npz"


def losses(folder: Path, column: int = 1) -> list[float]:
    rows = (folder / "metrics.csv").read_text().splitlines()[1:]
    return [float(row.split(",")[column]) for row in rows]


def test_a_text_is_learned_and_gone_on_with(here: Path, text: Path) -> None:
    done = seqc("train", "writer.seq", text, "--out", "run", "--epochs", 6, "--batch", 4, "--dim", "H=12")
    assert done.code == 0, done.err
    run = here / "run"
    names = {each.name for each in run.iterdir()}
    assert names >= {"best.safetensors", "last.ckpt", "metrics.csv", "config.json", "log.txt", "curve.png"}
    assert (run / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert losses(run)[-1] < losses(run)[0]
    assert json.loads((run / "build.json").read_text())["dims"] == {"H": 12, "V": len(set(TEXT))}
    assert "epoch 6: loss" in done.err and len(done.out) >= 400

    wrote = seqc("generate", "writer.seq", "--run", "run", "--prompt", "abc", "--length", 20, "--seed", 1)
    assert wrote.code == 0 and wrote.out.startswith("abc") and len(wrote.out) == 3 + 20 + 1
    again = seqc("generate", "writer.seq", "--run", "run", "--prompt", "abc", "--length", 20, "--seed", 1)
    assert again.out == wrote.out
    greedy = [
        seqc("generate", "writer.seq", "--run", "run", "--prompt", "abc", "--greedy", "--seed", each).out
        for each in (1, 2)
    ]
    assert greedy[0] == greedy[1]
    weights = seqc("generate", "writer.seq", "--weights", run / "best.safetensors", "--prompt", "a")
    assert weights.code == 0
    unknown = seqc("generate", "writer.seq", "--run", "run", "--prompt", "abX")
    assert unknown.code == 1 and "no symbol 'X'" in unknown.err

    built = seqc("build", "writer.seq", "--run", "run", "-o", "made", "--emit", "exe,py")
    assert built.code == 0, built.err
    for asked, size in (((), 4), (("--real", "f64"), 8)):
        built = seqc("build", "writer.seq", "--run", "run", "-o", "wide", "--emit", "header", *asked)
        assert built.code == 0 and f"WRITER_REAL_BYTES {size}" in (here / "wide" / "writer.h").read_text()
    package = seqc("generate", "made/writer", "--run", "run", "--prompt", "abc", "--length", 20, "--seed", 1)
    assert package.out == wrote.out


def test_python_itself_is_a_text(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from seqc.driver import corpus

    text = corpus.standard_library()
    assert len(text) == corpus.ENOUGH and text.isascii() and "import" in text
    monkeypatch.setattr(corpus, "standard_library", lambda: text[:4000])
    done = seqc("train", "writer.seq", "--epochs", 1, "--batch", 8, "--quiet")
    assert done.code == 0 and not done.out and not done.err
    assert (here / "runs" / "writer" / "best.safetensors").is_file()


def test_arrays_and_hypers(here: Path, arrays: Path) -> None:
    options = ("--epochs", 3, "--batch", 2, "--val", 0.25, "--real", "f64", "--set", "SGD.lr=0.05")
    done = seqc("train", "tiny.seq", arrays, "--out", "run", *options)
    assert done.code == 0, done.err
    assert losses(here / "run")[-1] < losses(here / "run")[0]
    assert "validation" in (here / "run" / "metrics.csv").read_text()
    (here / "taken").write_text("a file")
    done = seqc("train", "tiny.seq", arrays, "--out", "taken/run")
    assert done.code == 2 and "error[S0904]" in done.err and "cannot make the folder taken/run" in done.err


def test_the_same_seed_gives_the_same_curve(here: Path, arrays: Path) -> None:
    for name in ("one", "two"):
        assert seqc("train", "tiny.seq", arrays, "--out", name, "--epochs", 2, "--seed", 4).code == 0
    assert losses(here / "one") == losses(here / "two")


def test_killed_and_resumed(here: Path, text: Path) -> None:
    """SIGKILL at any moment loses the epoch at most; the curve is that of a run that nobody killed."""
    options = ("--epochs", 12, "--batch", 4, "--quiet")
    assert process("train", "writer.seq", text, "--out", "whole", *options).code == 0
    started = subprocess.Popen(
        command("train", "writer.seq", text, "--out", "killed", "--epochs", 100_000, "--batch", 4, "--quiet"),
        env=environment(),
        cwd=here,
    )
    for _ in range(400):
        if (here / "killed" / "last.ckpt").exists():
            break
        time.sleep(0.025)
    started.send_signal(signal.SIGKILL)
    started.wait()
    before = losses(here / "killed")
    assert before
    more = len(before) + 3
    done = process(
        "train", "writer.seq", text, "--out", "killed", "--epochs", more, "--batch", 4, "--quiet", "--resume"
    )
    assert done.code == 0, done.err
    count = min(12, more)
    assert losses(here / "killed")[:count] == losses(here / "whole")[:count]
    assert losses(here / "killed")[: len(before)] == before


def test_interrupted(here: Path, text: Path) -> None:
    """Ctrl-C ends between two updates, keeps everything, and --resume goes on."""
    started = subprocess.Popen(
        command("train", "writer.seq", text, "--out", "run", "--epochs", 100_000, "--batch", 4),
        env=environment(),
        cwd=here,
        stderr=subprocess.PIPE,
        text=True,
    )
    metrics = here / "run" / "metrics.csv"
    for _ in range(400):
        if metrics.exists():
            break
        time.sleep(0.025)
    started.send_signal(signal.SIGINT)
    _, err = started.communicate(timeout=20)
    assert started.returncode == 130 and "Traceback" not in err and "interrupted" in err
    assert (here / "run" / "best.safetensors").is_file()
    epochs = len(losses(here / "run")) + 1
    done = process("train", "writer.seq", text, "--out", "run", "--epochs", epochs, "--batch", 4, "--resume")
    assert done.code == 0, done.err


def test_an_earlier_run_is_never_overwritten(here: Path, arrays: Path) -> None:
    assert seqc("train", "tiny.seq", arrays, "--out", "run", "--epochs", 1).code == 0
    before = (here / "run" / "last.ckpt").read_bytes()
    done = seqc("train", "tiny.seq", arrays, "--out", "run", "--epochs", 1)
    assert done.code == 1 and "--resume" in done.err
    other = seqc("train", "tiny.seq", arrays, "--out", "run", "--epochs", 2, "--resume", "--seed", 9)
    assert other.code == 1 and "`seed` was 0, is 9" in other.err
    assert (here / "run" / "last.ckpt").read_bytes() == before


def test_a_resumption_that_was_refused_leaves_the_run_as_it_was(here: Path, text: Path) -> None:
    train = ("train", "writer.seq", text, "--out", "run", "--batch", 4)
    assert seqc(*train, "--epochs", 1).code == 0
    before = (here / "run" / "build.json").read_bytes()
    assert seqc(*train, "--epochs", 2, "--resume", "--dim", "H=9").code == 1
    assert (here / "run" / "build.json").read_bytes() == before
    done = seqc(*train, "--epochs", 2, "--resume")
    assert done.code == 0, done.err


def test_a_run_stopped_before_its_first_checkpoint_begins_with_its_weights(here: Path, arrays: Path) -> None:
    train = ("train", "tiny.seq", arrays, "--epochs", 2)
    assert seqc(*train, "--out", "first").code == 0
    train = (*train, "--weights", here / "first" / "best.safetensors")
    assert seqc(*train, "--out", "whole").code == 0
    assert seqc(*train, "--out", "cut").code == 0
    for name in ("last.ckpt", "best.safetensors", "metrics.csv"):
        (here / "cut" / name).unlink()
    assert seqc(*train, "--out", "cut", "--resume").code == 0
    assert losses(here / "cut") == losses(here / "whole")


def test_numbers_that_are_no_index(here: Path) -> None:
    text = (here / "tiny.seq").read_text().replace("  target", "  input  k: index(5) once\n  target")
    (here / "once.seq").write_text(text.replace("sum(w * x)", "sum(w * x) + real(k)"))
    x = np.random.default_rng(2).normal(size=(300, 2)).astype(np.float32)
    np.savez(here / "once.npz", x=x, y=x[:, 0])
    train = ("train", "once.seq", here / "once.npz", "--epochs", 1, "--batch", 4)
    assert seqc(*train, "--out", "fine", "--set", "k=2").code == 0
    for number in ("2.7", "nan", "inf"):
        done = seqc(*train, "--out", f"bad{number}", "--set", f"k={number}")
        assert done.code == 1 and "is not a whole number" in done.err


def test_data_that_does_not_fit(here: Path, text: Path, arrays: Path) -> None:
    np.savez(here / "names.npz", wrong=np.zeros((3, 2), np.float32))
    np.savez(here / "shapes.npz", x=np.zeros((8, 6, 3), np.float32), y=np.zeros((8, 6), np.float32))
    np.savez(here / "objects.npz", x=np.array([{}], object))
    (here / "cut.npz").write_bytes(arrays.read_bytes()[:100])
    (here / "latin.txt").write_bytes(b"caf\xe9")
    (here / "empty.txt").write_bytes(b"")
    cases: list[tuple[str, str | Path]] = [("tiny.seq", text), ("writer.seq", arrays)]
    cases += [("tiny.seq", f"{name}.npz") for name in ("names", "shapes", "objects", "cut")]
    cases += [("writer.seq", f"{name}.txt") for name in ("latin", "empty")]
    for model, data in cases:
        done = seqc("train", model, data, "--out", "run")
        assert done.code == 1 and "error[S0" in done.err, (model, data)
    wrong = seqc("train", "writer.seq", text, "--dim", "V=2", "--out", "run")
    assert (wrong.code == 1 and "different characters" in wrong.err) or "distinct characters" in wrong.err


def test_what_does_not_fit_is_said_before_anything_is_compiled(
    here: Path, arrays: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it leaves neither a folder nor anything in the cache behind."""
    monkeypatch.setenv("SEQC_CACHE", str(here / "cache"))
    (here / "plain.seq").write_text("model Plain {\n  input x: real[2]\n  output y = 2 * x\n}\n")
    np.savez(here / "plain.npz", x=np.zeros((6, 8, 2), np.float32))
    np.savez(here / "narrow.npz", x=np.zeros((6, 8, 3), np.float32), y=np.zeros((6, 8), np.float32))
    np.savez(here / "other.npz", a=np.zeros((6, 8, 2), np.float32), b=np.zeros((6, 8), np.float32))
    np.save(here / "alone.npy", np.zeros((6, 2), np.float32))
    cases = [
        (("plain.seq", "plain.npz"), "Plain has no entry point `update`: its source has no loss"),
        (("tiny.seq", arrays, "--val", "narrow.npz"), "validation data: `x`: expected [T, B, 2]"),
        (("tiny.seq", arrays, "--val", "1.5"), "`--val 1.5` is not a share of the data"),
        (("tiny.seq", "narrow.npz"), "`x`: expected [T, B, 2]"),
        (("tiny.seq", "other.npz"), "there is no input `a`"),
        (("tiny.seq", "alone.npy"), "2 inputs and 1 file that are not called like them"),
        (("tiny.seq", arrays, "--warmup", "8"), "are not longer than the 8 of `warmup`"),
        (("tiny.seq", arrays, "--steps", "3"), "`x` says how many there are"),
        (("tiny.seq", arrays, "--set", "SGD.rate=1"), "there is no hyper `SGD.rate`"),
        (("tiny.seq", arrays, "--scale", "net=x"), "there is no layer that scales `net`"),
        (("tiny.seq", arrays, "--weights", "none.safetensors"), "cannot read none.safetensors"),
    ]
    for words, message in cases:
        done = seqc("train", *words, "--out", "run")
        assert done.code == 1 and message in done.err, done.err
        assert not (here / "run").exists() and not (here / "cache").exists()


def test_weights_and_those_that_do_not_fit(here: Path, text: Path) -> None:
    assert seqc("train", "writer.seq", text, "--out", "run", "--epochs", 1, "--quiet").code == 0
    # The alphabet is that of the weights, and so is the size of the model.
    (here / "few.txt").write_text("abba" * 40)
    begun = ("--weights", "run/best.safetensors", "--epochs", 1, "--quiet")
    assert seqc("train", "writer.seq", "few.txt", "--out", "more", *begun).code == 0
    other = seqc("generate", "writer.seq", "--run", "run", "--dim", "H=9")
    assert other.code == 1 and "expected" in other.err
    (here / "run" / "best.safetensors").write_bytes(b"\xff" * 200)
    assert seqc("generate", "writer.seq", "--run", "run").code == 1
    (here / "run" / "build.json").write_text("[")
    assert seqc("generate", "writer.seq", "--run", "run").code == 1


def test_a_model_that_cannot_generate(here: Path, arrays: Path) -> None:
    assert seqc("train", "tiny.seq", arrays, "--out", "run", "--epochs", 1).code == 0
    done = seqc("generate", "tiny.seq", "--run", "run")
    assert done.code == 1 and "symbol table" in done.err


def test_a_curve_that_cannot_be_written_is_a_note(here: Path, arrays: Path) -> None:
    (here / "run" / "curve.png").mkdir(parents=True)
    done = seqc("train", "tiny.seq", arrays, "--out", "run", "--epochs", 2)
    assert done.code == 0, done.err
    assert "the curve could not be drawn into run/curve.png: Is a directory" in done.err
    assert "weights and metrics are in run/" in done.err
    assert len(losses(here / "run")) == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"model": 3, "real": "f32", "dims": {}}', "`model`: expected a name or null, found 3"),
        ('{"model": null, "real": "f16", "dims": {}}', "`real`: expected one of f32, f64, found 'f16'"),
        ('{"model": null, "real": "f32", "dims": []}', "`dims`: expected sizes by name, found []"),
        (
            '{"model": null, "real": "f32", "dims": {"H": 1e400}}',
            "`dims`: expected a whole number for `H`, found inf",
        ),
        (
            '{"model": null, "real": "f32", "dims": {"H": "a"}}',
            "`dims`: expected a whole number for `H`, found 'a'",
        ),
        ("[1, 2]", "expected `model`, `real` and `dims` by name, found a list"),
        ("{", "Expecting property name"),
    ],
)
def test_a_build_record_that_is_damaged(here: Path, text: str, reason: str) -> None:
    (here / "run").mkdir()
    (here / "run" / "build.json").write_text(text)
    (here / "run" / "best.safetensors").write_bytes(b"")
    done = seqc("generate", "writer.seq", "--run", "run")
    assert done.code == 1 and "cannot read `run/build.json`" in done.err and reason in done.err
    assert "put back the file that `seqc train` wrote" in done.err


def test_a_number_for_all_sequences_of_arrays(here: Path) -> None:
    text = (
        (here / "tiny.seq")
        .read_text()
        .replace("  target", "  input  k: index(5) once\n  input  g: real once\n  target")
    )
    (here / "once.seq").write_text(text.replace("sum(w * x)", "sum(w * x) + g * real(k)"))
    x = np.random.default_rng(2).normal(size=(6, 8, 2)).astype(np.float32)
    np.savez(here / "given.npz", x=x, y=x[..., 0])
    np.savez(here / "told.npz", x=x, y=x[..., 0], k=np.full(8, 2), g=np.full(8, 0.5, np.float32))
    np.savez(here / "other.npz", x=x[:, :3], y=x[:, :3, 0])
    options = ("--epochs", 2, "--batch", 4)
    numbers = ("--set", "k=2", "--set", "g=0.5")
    for name, more in (("given", numbers), ("told", ())):
        done = seqc("train", "once.seq", f"{name}.npz", "--out", name, *options, *more)
        assert done.code == 0 and "Warning" not in done.err, done.err
    assert losses(here / "given") == losses(here / "told")
    done = seqc("train", "once.seq", "given.npz", "--out", "tested", *options, *numbers, "--val", "other.npz")
    assert done.code == 0, done.err


def test_warnings_are_notes() -> None:
    notes: list[str] = []
    with told(notes.append):
        warnings.simplefilter("always")
        warnings.warn("a word", stacklevel=1)
    assert notes == ["a word"]
