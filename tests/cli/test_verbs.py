"""The verbs that need no C++ compiler: what they say, what they change, and their exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from seqc.driver.starter import kinds
from seqc.source.explain import codes
from tests.cli.tools import EXAMPLES, INSTALLED, TINY, process, seqc

WRONG = TINY.replace("sum(w * x)", "sum(w * wx)")


def test_version_and_help() -> None:
    assert seqc("--version").out.startswith("seqc ")
    for verb in ("check", "build", "train", "generate", "fmt", "show", "explain", "doctor", "new"):
        assert seqc(verb, "--help").code == 0


def test_as_a_process() -> None:
    assert process("check", "tiny.seq").code == 0
    assert process("check", "nothing.seq").code == 1


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.seq")))
def test_examples_check_and_are_formatted(name: str) -> None:
    path = EXAMPLES / f"{name}.seq"
    assert seqc("check", path).code == 0
    assert seqc("fmt", "--check", path).code == 0


def test_check_says_what_is_wrong_and_where(here: Path) -> None:
    (here / "wrong.seq").write_text(WRONG)
    done = seqc("check", "wrong.seq")
    assert done.code == 1
    assert "wrong.seq:9:35" in done.err and "did you mean" in done.err


def test_json_for_editors(here: Path) -> None:
    (here / "wrong.seq").write_text(WRONG)
    done = seqc("check", "wrong.seq", "--json")
    assert done.code == 1 and not done.err
    (found,) = json.loads(done.out)
    assert found["code"].startswith("S0")
    done = seqc("check", "nothing.seq", "--json")
    assert done.code == 1 and json.loads(done.out)[0]["code"] == "S0801"
    assert json.loads(seqc("check", "tiny.seq", "--json").out) == []


@pytest.mark.parametrize(
    "content",
    [
        b"\x00\x01\x02",
        b"\x7fELF" + bytes(range(256)) * 40,
        "model M { output y }".encode("utf-16"),
        b"((((" * 5000,
        b"x" * 1_000_000,
        b"model M {" * 300,
        b'use "/etc/passwd": A\n' + TINY.encode(),
        b'use "../tiny.seq": A\n' + TINY.encode(),
    ],
)
def test_rubbish_is_refused(here: Path, content: bytes) -> None:
    (here / "rubbish.seq").write_bytes(content)
    for verb in ("check", "build"):
        done = seqc(verb, "rubbish.seq")
        assert done.code == 1 and "error[S0" in done.err
    seqc("fmt", "rubbish.seq")


def test_an_empty_file_holds_nothing_wrong_and_nothing_to_build(here: Path) -> None:
    (here / "empty.seq").write_bytes(b"")
    assert seqc("check", "empty.seq").code == 0
    assert seqc("build", "empty.seq").code == 1


def test_imports_stay_inside_the_folder(here: Path) -> None:
    inner = here / "inner"
    inner.mkdir()
    (here / "outside.seq").write_text("fn f(x: real) -> y: real {\n  y = x\n}\n")
    (inner / "link.seq").symlink_to(here / "outside.seq")
    (inner / "model.seq").write_text('use "link.seq": f\n' + TINY)
    assert seqc("check", inner / "model.seq").code == 1
    (inner / "link.seq").unlink()
    (inner / "link.seq").write_text((here / "outside.seq").read_text())
    assert seqc("check", inner / "model.seq").code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "nothing.seq"),
        ("check", "."),
        ("check", "/dev/zero"),
        ("check", "large.seq"),
        ("check",),
        ("check", "tiny.seq", "--bogus"),
        ("bogus",),
        ("check", "tiny.seq", "--dim", "H"),
        ("check", "tiny.seq", "--dim", "H=many"),
        ("check", "tiny.seq", "--dim", "H=-1"),
        ("check", "tiny.seq", "--dim", "Q=4"),
        ("check", "writer.seq", "--dim", "H=0"),
        ("check", "writer.seq", "--dim", "H=999999999999"),
        ("build", "tiny.seq", "--real", "f16"),
        ("build", "tiny.seq", "--emit", "zip"),
        ("build", "tiny.seq", "--deploy", "pedal"),
        ("build", "tiny.seq", "--model", "Other"),
        ("build", "tiny.seq", "--weights", "nothing.safetensors"),
        ("build", "tiny.seq", "--run", "nothing"),
        ("show", "cellar", "tiny.seq"),
        ("show", "flow", "tiny.seq", "--entry", "inferr"),
        ("show", "code", "tiny.seq", "--entry", "inferr"),
        ("show", "flow", "tiny.seq", "--after", "simplifi"),
        ("explain", "S9999"),
        ("new", "x.seq", "--kind", "opera"),
        ("new", "tiny.seq"),
        ("check", "a" * 300 + ".seq"),
        ("fmt", "nothing.seq"),
        ("fmt", "."),
        ("train", "tiny.seq"),
        ("train", "nothing.seq"),
        ("train", "tiny.seq", "nothing.npz"),
        ("train", "tiny.seq", "tiny.seq", "--epochs", "0"),
        ("train", "tiny.seq", "--set", "lr"),
        ("train", "writer.seq", "--resume", "--out", "nothing"),
        ("generate", "writer.seq"),
        ("generate", "writer.seq", "--run", "nothing"),
        ("generate", "writer.seq", "--run", "a", "--weights", "b"),
        ("generate", "writer.seq", "--run", "a", "--greedy", "--temperature", "2"),
    ],
)
def test_mistakes_of_the_command_line(here: Path, arguments: tuple[str, ...]) -> None:
    (here / "large.seq").write_bytes(b" " * 5_000_000)
    done = seqc(*arguments)
    assert done.code == 1
    assert done.err


def test_nearest_names_are_offered() -> None:
    assert "did you mean `infer`?" in seqc("show", "flow", "tiny.seq", "--entry", "inferr").err
    assert "did you mean `infer`?" in seqc("show", "code", "tiny.seq", "--entry", "inferr").err
    assert "did you mean `audio`?" in seqc("new", "x.seq", "--kind", "audi").err


def test_formatting(here: Path) -> None:
    path = here / "loose.seq"
    loose = TINY.replace("  h = tanh(0.5 * prev h", "      h=tanh(0.5*prev   h")
    path.write_text(loose)
    assert seqc("fmt", "--check", path).code == 1 and path.read_text() == loose
    assert seqc("fmt", path).code == 0 and path.read_text() == TINY
    assert seqc("fmt", "--check", path, "tiny.seq").code == 0


def test_formatting_behind_a_link(here: Path) -> None:
    (here / "real.seq").write_text(
        (here / "tiny.seq").read_text().replace("  window = 4", "  window   =   4")
    )
    (here / "link.seq").symlink_to("real.seq")
    assert seqc("fmt", "link.seq").code == 0
    assert (here / "link.seq").is_symlink() and "  window = 4" in (here / "real.seq").read_text()


def test_formatting_a_file_of_two_names(here: Path) -> None:
    loose = (here / "tiny.seq").read_text().replace("  window = 4", "  window   =   4")
    (here / "one.seq").write_text(loose)
    (here / "two.seq").hardlink_to(here / "one.seq")
    assert seqc("fmt", "one.seq").code == 0
    assert (here / "one.seq").samefile(here / "two.seq") and "  window = 4" in (here / "two.seq").read_text()


@pytest.mark.parametrize("kind", kinds())
def test_starters(here: Path, kind: str) -> None:
    path = here / f"my {kind}.seq"
    assert seqc("new", path, "--kind", kind).code == 0
    assert seqc("check", path).code == 0
    assert seqc("fmt", "--check", path).code == 0
    assert seqc("new", path, "--kind", kind).code == 1


@pytest.mark.parametrize("floor", ["tree", "flow", "plan", "code"])
def test_every_floor_can_be_seen(floor: str) -> None:
    done = seqc("show", floor, "tiny.seq", "--entry", "update")
    assert done.code == 0 and len(done.out.splitlines()) > 20


def test_a_flow_after_a_pass() -> None:
    done = seqc("show", "flow", "tiny.seq", "--entry", "gradients", "--after", "differentiate")
    assert done.code == 0 and "grad.w" in done.out


def test_explanations() -> None:
    listed = seqc("explain")
    assert listed.code == 0
    assert len(listed.out.splitlines()) == len(codes())
    for code in codes()[:3]:
        assert seqc("explain", code.lower()).out.startswith(f"# {code}")


def test_doctor() -> None:
    done = process("doctor")
    assert done.code == 0
    assert "C++ compiler" in done.out and "host extension" in done.out


def test_every_message_of_driver_and_command_line_is_explained() -> None:
    used: set[str] = set()
    for room in ("driver", "cli"):
        for path in (INSTALLED / "seqc" / room).glob("*.py"):
            used |= set(re.findall(r'"(S0[0-9]{3})"', path.read_text(encoding="utf-8")))
    assert used and sorted(used - {"S0000", *codes()}) == []


def test_standard_input_stands_alone(here: Path) -> None:
    before = (here / "tiny.seq").read_text()
    for files in (("-", "tiny.seq"), ("tiny.seq", "-"), ("-", "-")):
        done = seqc("fmt", *files)
        assert done.code == 1 and "`-` stands for standard input, and stands alone" in done.err
    assert (here / "tiny.seq").read_text() == before


@pytest.mark.parametrize("empty", [",", "", " , ,"])
def test_lists_that_name_nothing_are_refused(here: Path, empty: str) -> None:
    (here / "data.csv").write_text("x.0,x.1,y\n" + "1,2,3\n" * 9)
    for flag in ("--inputs", "--targets"):
        done = seqc("train", "tiny.seq", "data.csv", "--out", "run", flag, empty)
        assert done.code == 1 and f"`{flag} {empty}` names nothing" in done.err
    done = seqc("build", "tiny.seq", "-o", "made", "--emit", empty)
    assert done.code == 1 and f"`--emit {empty}` names nothing" in done.err
    assert not (here / "run").exists() and not (here / "made").exists()
