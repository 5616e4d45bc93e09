"""The cache: many builders at once, killed ones, damaged entries, folders that are read-only, foreign or full."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from seqc.driver import cache, toolchain
from seqc.driver.build import prepare
from seqc.driver.fault import ToolFault
from seqc.driver.options import Options
from tests.cli.tools import command, environment, process, seqc

OPTIONS = Options()
AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


@pytest.fixture
def own(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that nobody has used."""
    monkeypatch.setenv("SEQC_CACHE", str(here / "own"))
    return here / "own"


def entries(folder: Path) -> list[Path]:
    return sorted(each for each in (folder / "entries").iterdir() if not each.name.startswith("."))


def test_a_header_alone_compiles_nothing(here: Path, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    run = toolchain.run

    def noted(arguments: list[str], doing: str, cwd: Path | None = None) -> str:
        done.append(doing)
        return run(arguments, doing, cwd)

    monkeypatch.setattr(toolchain, "run", noted)
    built = prepare(here / "tiny.seq", OPTIONS, ("header",))
    assert (built.folder / f"{built.name}.h").is_file()
    assert done and not any(each.startswith(("compiling", "linking")) for each in done)
    prepare(here / "tiny.seq", OPTIONS, ("header", "shared"))
    assert any(each.startswith("compiling") for each in done)


def test_the_second_build_is_the_first_one(here: Path, own: Path) -> None:
    first = prepare(here / "tiny.seq", OPTIONS, ("shared",))
    second = prepare(here / "tiny.seq", OPTIONS, ("shared",))
    assert first.fresh and not second.fresh and first.folder == second.folder
    assert own.stat().st_mode & 0o777 == 0o700


def test_what_shapes_the_result_makes_another_entry(here: Path, own: Path) -> None:
    source = here / "tiny.seq"
    prepare(source, OPTIONS, ("shared",))
    prepare(source, Options(real="f64"), ("shared",))
    source.write_text(source.read_text().replace("0.5 * prev", "0.25 * prev"))
    assert prepare(source, OPTIONS, ("shared",)).fresh
    assert len(entries(own)) == 3


def test_an_imported_file_counts(here: Path, own: Path) -> None:
    (here / "part.seq").write_text("fn half(x: real) -> y: real {\n  y = 0.5 * x\n}\n")
    source = here / "tiny.seq"
    source.write_text('use "part.seq": half\n' + source.read_text().replace("0.5 * prev h", "half(prev h)"))
    prepare(source, OPTIONS, ("shared",))
    assert not prepare(source, OPTIONS, ("shared",)).fresh
    (here / "part.seq").write_text("fn half(x: real) -> y: real {\n  y = 0.4 * x\n}\n")
    assert prepare(source, OPTIONS, ("shared",)).fresh


@pytest.mark.parametrize("harm", ["cut", "flipped", "missing", "sums", "empty"])
def test_a_damaged_entry_is_made_again(here: Path, own: Path, harm: str) -> None:
    entry = prepare(here / "tiny.seq", OPTIONS, ("shared",)).folder
    library = entry / "libtiny.so"
    whole = library.read_bytes()
    if harm == "cut":
        library.write_bytes(whole[:1000])
    elif harm == "flipped":
        library.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
    elif harm == "missing":
        library.unlink()
    elif harm == "sums":
        (entry / cache.CHECKSUMS).write_text("{")
    else:
        shutil.rmtree(entry)
        entry.mkdir()
    again = prepare(here / "tiny.seq", OPTIONS, ("shared",))
    assert again.folder == entry and library.read_bytes() == whole


@pytest.mark.parametrize("word", ['"name"', '"tiny"'])
def test_a_damaged_note_is_not_believed(here: Path, own: Path, word: str) -> None:
    first = prepare(here / "tiny.seq", OPTIONS, ("header",))
    (note,) = (own / "index").iterdir()
    whole = note.read_text()
    note.write_text(whole.replace(word, word[:2] + "q" + word[3:]))
    assert prepare(here / "tiny.seq", OPTIONS, ("header",)) == first
    assert note.read_text() == whole


def test_eight_builders_at_once(here: Path, own: Path) -> None:
    running = [
        subprocess.Popen(
            command("build", "tiny.seq", "-o", f"made{number}"),
            env=environment(),
            cwd=here,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(8)
    ]
    for each in running:
        _, err = each.communicate(timeout=120)
        assert each.returncode == 0, err
    libraries = {(here / f"made{number}" / "tiny" / "libtiny.so").read_bytes() for number in range(8)}
    assert len(libraries) == 1 and len(entries(own)) == 1


@pytest.mark.parametrize("after", [0.15, 0.5, 0.9])
def test_killed_builds_leave_nothing_that_matters(here: Path, own: Path, after: float) -> None:
    started = subprocess.Popen(
        command("build", "tiny.seq", "-o", "made"),
        env=environment(),
        cwd=here,
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(after)
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    done = seqc("build", "tiny.seq", "-o", "made")
    assert done.code == 0, done.err
    assert len(entries(own)) == 1
    assert not [each for each in (here / "made").rglob("*") if each.name.startswith(".")]


def test_an_interrupted_build(here: Path, own: Path) -> None:
    started = subprocess.Popen(
        command("build", "tiny.seq", "-o", "made"),
        env=environment(),
        cwd=here,
        stderr=subprocess.PIPE,
        text=True,
    )
    for _ in range(400):
        if (own / "entries").exists():
            break
        time.sleep(0.025)
    started.send_signal(signal.SIGINT)
    _, err = started.communicate(timeout=20)
    assert started.returncode in (0, 130) and "Traceback" not in err
    assert seqc("build", "tiny.seq", "-o", "made").code == 0


def test_a_lock_file_without_an_owner_stops_nobody(here: Path, own: Path) -> None:
    entry = prepare(here / "tiny.seq", OPTIONS, ("shared",)).folder
    shutil.rmtree(entry)
    assert (own / "locks" / entry.name[:16]).exists()
    assert prepare(here / "tiny.seq", OPTIONS, ("shared",)).folder == entry


def test_a_cache_that_is_a_file(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "file").write_text("")
    monkeypatch.setenv("SEQC_CACHE", str(here / "file"))
    done = seqc("build", "tiny.seq", "-o", "made")
    assert done.code == 0 and "using a temporary one" in done.err


@pytest.mark.parametrize("mode", [0o1777, 0o775])
def test_a_folder_of_many_stays_as_it_is(here: Path, monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
    """As root a cache in /tmp would else have closed /tmp to everybody."""
    folder = here / "many"
    folder.mkdir()
    folder.chmod(mode)
    monkeypatch.setenv("SEQC_CACHE", str(folder))
    own = prepare(here / "tiny.seq", OPTIONS, ("header",)).folder.parent.parent
    assert own.parent == folder and own.stat().st_mode & 0o777 == 0o700
    assert folder.stat().st_mode & 0o7777 == mode and list(folder.iterdir()) == [own]


def test_what_takes_the_place_of_a_cache_is_one_folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "file").write_text("")
    (here / "temporary").mkdir()
    monkeypatch.setenv("SEQC_CACHE", str(here / "file"))
    monkeypatch.setattr(tempfile, "tempdir", str(here / "temporary"))
    assert prepare(here / "tiny.seq", OPTIONS, ("header",)).fresh
    assert not prepare(here / "tiny.seq", OPTIONS, ("header",)).fresh
    (left,) = (here / "temporary").iterdir()
    shutil.rmtree(left)
    left.symlink_to(here)  # somebody else was there first
    assert cache.Cache().folder != left


@pytest.mark.skipif(AS_ROOT, reason="nothing is read-only for root")
def test_a_read_only_cache(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = here / "locked"
    folder.mkdir(mode=0o500)
    monkeypatch.setenv("SEQC_CACHE", str(folder))
    done = seqc("build", "tiny.seq", "-o", "made")
    assert done.code == 0 and "using a temporary one" in done.err


@pytest.mark.skipif(not AS_ROOT, reason="only root can give files away")
def test_a_cache_of_somebody_else(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = here / "foreign"
    folder.mkdir()
    os.chown(folder, 12345, 12345)
    monkeypatch.setenv("SEQC_CACHE", str(folder))
    done = seqc("build", "tiny.seq", "-o", "made")
    assert done.code == 0 and "using a temporary one" in done.err
    assert not list(folder.iterdir())


@pytest.fixture
def small_disk(here: Path) -> Iterator[Path]:
    """A disk of 200 kB."""
    if not AS_ROOT or shutil.which("mount") is None:
        pytest.skip("only root can mount a small disk")
    folder = here / "disk"
    folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "small", str(folder)], check=False
    ).returncode:
        pytest.skip("this machine does not allow to mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_under_the_output(here: Path, small_disk: Path) -> None:
    (small_disk / "tiny").mkdir()
    (small_disk / "tiny" / "model.json").write_text("old")
    done = process("build", "tiny.seq", "-o", str(small_disk))
    assert done.code == 2 and "No space left" in done.err
    assert (small_disk / "tiny" / "model.json").read_text() == "old"
    assert not [each for each in small_disk.rglob("*") if each.name.startswith(".")]


def test_a_full_disk_under_the_cache(here: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQC_CACHE", str(small_disk / "cache"))
    with pytest.raises(ToolFault, match="cannot write"):
        prepare(here / "tiny.seq", OPTIONS, ("py",))
    assert entries(small_disk / "cache") == []
    assert not [each for each in (small_disk / "cache" / "entries").iterdir()]


def test_a_full_disk_under_a_run(here: Path, small_disk: Path) -> None:
    (here / "text.txt").write_text("abcd" * 200)
    (small_disk / "fill").write_bytes(b"\0" * 190_000)
    done = process("train", "writer.seq", "text.txt", "--out", str(small_disk / "run"), "--epochs", "1")
    assert done.code in (1, 2) and "No space left" in done.err
