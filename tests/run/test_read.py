"""Data from files and frames: `.npy`, `.npz`, `.csv`, `.wav`, folders, and what is refused."""

from __future__ import annotations

import struct
import wave
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqc
from seqc.run import Model, ModelError
from seqc.run.gather import gather
from seqc.run.read import read_data, read_several
from seqc.run.table import Table
from tests.run.test_lists import LENGTHS, ONCE, SOURCE, X, Y, opened


@pytest.fixture
def rows(tmp_path: Path) -> Model:
    return opened(tmp_path, SOURCE)


def sound(path: Path, width: int, samples: np.ndarray) -> None:
    """A file as Python's own `wave` writes it."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(width)
        file.setframerate(8000)
        whole = np.round(samples * 2.0 ** (8 * width - 1)).astype("<i8")
        file.writeframes(whole.view(np.uint8).reshape(-1, 8)[:, :width].tobytes())


def float_sound(path: Path, samples: np.ndarray, rate: int = 8000, kind: int = 3) -> None:
    data = samples.astype("<f4").tobytes()
    head = struct.pack("<HHIIHH", kind, 1, rate, rate * 4, 4, 32)
    if kind == 0xFFFE:
        head += struct.pack("<HHIH14s", 22, 32, 4, 3, b"")
    chunks = b"fmt " + struct.pack("<I", len(head)) + head
    chunks += b"LIST" + struct.pack("<I", 3) + b"abc\0" + b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)


def test_sounds_of_every_width(tmp_path: Path) -> None:
    samples = np.array([0.0, 0.5, -1.0, 0.25, -0.125])
    for width in (2, 3, 4):
        sound(tmp_path / "dry.wav", width, samples)
        found = read_data(tmp_path / "dry.wav")
        assert isinstance(found, dict) and found["dry"].dtype == np.float32
        np.testing.assert_array_equal(found["dry"], samples)
    for kind in (3, 0xFFFE):
        float_sound(tmp_path / "wet.wav", samples, kind=kind)
        found = read_several([tmp_path / "dry.wav", tmp_path / "wet.wav"])
        assert isinstance(found, dict)
        np.testing.assert_array_equal(found["dry"], found["wet"])


def stereo(path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(8))


def eight(path: Path) -> None:
    sound(path, 1, np.zeros(4))


def cut(path: Path) -> None:
    sound(path, 2, np.zeros(40))
    path.write_bytes(path.read_bytes()[:50])


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (stereo, "has 2 channels; expected one (mono)"),
        (eight, "found 8 bits of kind 1"),
        (cut, "is not a whole WAVE file"),
        (lambda path: path.write_bytes(b"RIFF"), "is not a whole WAVE file"),
    ],
)
def test_sounds_that_are_refused(tmp_path: Path, make: Callable[[Path], Any], text: str) -> None:
    make(tmp_path / "a.wav")
    with pytest.raises(ModelError) as caught:
        read_data(tmp_path / "a.wav")
    assert text in str(caught.value)


def test_sounds_of_two_rates(tmp_path: Path) -> None:
    float_sound(tmp_path / "a.wav", np.zeros(3))
    float_sound(tmp_path / "b.wav", np.zeros(3), 44100)
    with pytest.raises(ModelError, match=r"a.wav has 8000, b.wav has 44100; expected one rate"):
        read_data(tmp_path)


def same(model: Model, source: Any) -> None:
    """The source means the sequences X and Y."""
    found = gather(model, source)
    assert found.lengths is not None and found.lengths.tolist() == LENGTHS
    ports = [each["name"] for each in model.manifest["inputs"]]
    np.testing.assert_array_equal(found.arrays[ports.index("x")], np.concatenate(X))
    np.testing.assert_array_equal(found.arrays[ports.index("y")], np.concatenate(Y))


def test_sequences_in_one_file_and_in_a_folder(rows: Model, tmp_path: Path) -> None:
    named = {f"x.{row}": each for row, each in enumerate(X)} | {
        f"y.{row}": each for row, each in enumerate(Y)
    }
    np.savez(tmp_path / "all.npz", **named)
    same(rows, tmp_path / "all.npz")
    (tmp_path / "many").mkdir()
    (tmp_path / "tables").mkdir()
    for row, (x, y) in enumerate(zip(X, Y, strict=True)):
        np.savez(tmp_path / "many" / f"{row:02}.npz", x=x, y=y)
        lines = [f"{a!r},{b!r},{c!r}" for (a, b), c in zip(x.tolist(), y.tolist(), strict=True)]
        (tmp_path / "tables" / f"{row:02}.csv").write_text("\n".join(["x.0,x.1,y", *lines]) + "\n")
    same(rows, tmp_path / "many")
    same(rows, tmp_path / "tables")
    tables = read_data(tmp_path / "tables")
    assert isinstance(tables, Table)  # numbers of sequences begin anew in each file
    same(rows, Table({**tables.columns, "id": ["1"] * sum(LENGTHS)}, group="id"))
    broken = [*tables.columns["y"][:4], "?", *tables.columns["y"][5:]]
    with pytest.raises(ModelError, match=r"01\.csv, row 2: `y` holds '\?'; expected a number"):
        gather(rows, Table({**tables.columns, "y": broken}, group=tables.group))
    del named["x.3"]
    np.savez(tmp_path / "hole.npz", **named)
    with pytest.raises(ModelError, match=r"expected `x.0` to `x.8`, each once"):
        read_data(tmp_path / "hole.npz")


def whole_table(tmp_path: Path, head: str = "row,a,b,y") -> Path:
    lines = [
        f"{row},{a!r},{b!r},{c!r}"
        for row, (x, y) in enumerate(zip(X, Y, strict=True))
        for (a, b), c in zip(x.tolist(), y.tolist(), strict=True)
    ]
    (tmp_path / "table.csv").write_text("\n".join([head, *lines]) + "\n")
    return tmp_path / "table.csv"


def test_tables_with_named_columns(rows: Model, tmp_path: Path) -> None:
    table = read_data(whole_table(tmp_path))
    assert isinstance(table, Table)
    dealt = Table(table.columns, table.name, ("a", "b"), ("y",), "row")
    same(rows, dealt)
    for separator in ";\t":
        text = (tmp_path / "table.csv").read_text().replace(",", separator)
        (tmp_path / "other.csv").write_text(text)
        assert read_data(tmp_path / "other.csv").columns == table.columns
    same(rows, Table(table.columns, group="row", chosen={"x": ["a", "b"]}))
    single = gather(rows, Table(table.columns, inputs=("a", "b"), targets=("y",)))
    assert single.single and single.lengths is None
    cases = [
        (
            Table(table.columns, "table.csv"),
            "table.csv has no column for `x`: expected columns `x.0` to `x.1`",
        ),
        (Table(table.columns, inputs=("a",)), "inputs: expected 2 columns for `x` (2); found 1"),
        (Table(table.columns, inputs=("a", "c")), "there is no column `c`"),
        (Table(table.columns, chosen={"z": "a"}), "there is no input `z`"),
        (
            Table({**table.columns, "a": ["x"] * sum(LENGTHS)}, inputs=("a", "b")),
            "row 1: `a` holds 'x'; expected a n",
        ),
        (
            Table({**table.columns, "a": [""] * sum(LENGTHS)}, inputs=("a", "b")),
            "row 1: `a` holds ''; expected a n",
        ),
        (Table({**table.columns, "a": ["nan"] * sum(LENGTHS)}, inputs=("a", "b")), "`x` holds nan at step 0"),
        (
            Table({**table.columns, "row": [0, 1] * 22 + [0]}, group="row", inputs=("a", "b")),
            "must stand together",
        ),
    ]
    for broken, text in cases:
        with pytest.raises(ModelError) as caught:
            gather(rows, broken)
        assert text in str(caught.value)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "holds no rows"),
        ("a,b\n", "holds no rows"),
        ("1,2\n3,4\n", "expected the names of the columns in the first line, found '1'"),
        ("a,a\n3,4\n", "the column `a` is there twice"),
        ("a,b\n3,4\n5\n", "row 2: expected 2 cells, found 1"),
        ("a,b\n\xe9\xff", "is not a CSV file in UTF-8"),
    ],
)
def test_tables_that_are_refused(tmp_path: Path, content: str, text: str) -> None:
    (tmp_path / "a.csv").write_bytes(content.encode("latin-1"))
    with pytest.raises(ModelError) as caught:
        read_data(tmp_path / "a.csv")
    assert text in str(caught.value)


class Series:
    def __init__(self, values: list[Any]) -> None:
        self.values = values

    def to_numpy(self) -> np.ndarray:
        return np.array(self.values)


class Frame:
    """What pandas and polars have in common."""

    def __init__(self, columns: dict[str, list[Any]]) -> None:
        self.held = columns
        self.columns = list(columns)

    def __getitem__(self, name: str) -> Series:
        return Series(self.held[name])

    def to_numpy(self) -> np.ndarray:
        return np.array(list(self.held.values())).T


def test_frames(rows: Model) -> None:
    x, y = np.concatenate(X), np.concatenate(Y)
    frame = Frame({"a": x[:, 0].tolist(), "b": x[:, 1].tolist(), "y": y.tolist()})
    by_frame = rows.fit(frame, columns={"x": ["a", "b"]}, epochs=1, window=4, quiet=True)
    rows.initialise(0)
    assert rows.fit(x, y, epochs=1, window=4, quiet=True).losses == by_frame.losses
    named = Frame({"x_0": x[:, 0].tolist(), "x_1": x[:, 1].tolist(), "y": y.tolist()})
    rows.initialise(0)
    assert rows.fit(named, epochs=1, window=4, quiet=True).losses == by_frame.losses


def test_values_once_in_a_table(tmp_path: Path) -> None:
    model = opened(tmp_path, ONCE)
    columns = {
        "word": [1, 2, 3, 4],
        "bias": [0.5, 0.5, 1, 1],
        "kind": ["0", "0", "2", "2"],
        "id": [7, 7, 3, 3],
    }
    found = gather(model, Table(columns, group="id"))
    assert found.lengths is not None and found.lengths.tolist() == [2, 2]
    for names in (
        ["2026-01-05", "2026-01-05", "2026-01-06 ", "2026-01-06"],
        ["1", "1.0", "x1", "x1"],
        [str(2**53), str(2**53), str(2**53 + 1), str(2**53 + 1)],  # one double, two numbers
        np.array([2**53, 2**53, 2**53 + 1, 2**53 + 1]),
        np.array(["2026-01-05", "2026-01-05", "2026-01-06", "2026-01-06"], "M8[D]"),
    ):
        named = gather(model, Table({**columns, "id": names}, group="id"))
        assert named.lengths is not None and named.lengths.tolist() == [2, 2]
    with pytest.raises(ModelError, match="row 3: `id` is empty, which names no sequence"):
        gather(model, Table({**columns, "id": ["a", "a", " ", "b"]}, group="id"))
    with pytest.raises(ModelError, match="there is no column `day`"):
        gather(model, Table(columns, group="day"))
    truths = gather(model, Table({**columns, "bias": ["True", "true", "FALSE", "False"]}, group="id"))
    assert truths.arrays[1].tolist() == [1, 0]
    given = gather(model, Table(columns, group="id", given={"bias": 0.25}))
    bias = [each["name"] for each in model.manifest["inputs"]].index("bias")
    assert given.arrays[bias].tolist() == [0.25, 0.25]
    with pytest.raises(
        ModelError, match="`bias` is one value per sequence; expected it equal in all rows of sequence 0"
    ):
        gather(model, Table({**columns, "bias": [0.5, 0.6, 1, 1]}, group="id"))


def test_windows_of_a_recording() -> None:
    x = np.arange(20).reshape(10, 2)
    found = seqc.windows(x, 4, 3)
    assert found.shape == (4, 3, 2) and found[0, :, 0].tolist() == [0, 6, 12]
    given, wanted = seqc.windows(x[:, 0], 4, horizon=1)
    assert given.T.tolist() == [[0, 2, 4, 6], [8, 10, 12, 14]] and wanted.T.tolist() == (given.T + 2).tolist()
    with pytest.raises(ModelError, match="`x` has 10 steps; expected at least 11 for one window"):
        seqc.windows(x, 10, horizon=1)
    with pytest.raises(ModelError, match="`stride`: expected a whole number from 1, found 0"):
        seqc.windows(x, 10, 0)


def test_the_case_of_a_suffix_says_nothing(rows: Model, tmp_path: Path) -> None:
    table = whole_table(tmp_path).rename(tmp_path / "UP.CSV")
    assert isinstance(read_data(table), Table)
    np.savez(
        tmp_path / "x.npz",
        **{f"x.{row}": each for row, each in enumerate(X)},
        **{f"y.{row}": each for row, each in enumerate(Y)},
    )
    same(rows, (tmp_path / "x.npz").rename(tmp_path / "X.NPZ"))
    (tmp_path / "sounds").mkdir()
    float_sound(tmp_path / "sounds" / "A.WAV", np.zeros(3))
    np.save(tmp_path / "b.npy", np.ones(3))
    (tmp_path / "b.npy").rename(tmp_path / "sounds" / "B.NPY")
    several = read_several([tmp_path / "sounds" / "A.WAV", tmp_path / "sounds" / "B.NPY"])
    for found in (read_data(tmp_path / "sounds"), several):
        assert isinstance(found, dict) and sorted(found) == ["A", "B"]
    assert isinstance(read_several([table, table]), Table)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "A.TXT").write_text("abc")
    assert read_data(tmp_path / "texts") == "abc"


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("1_0", "row 2: `y` holds '1_0'; expected a number"),
        ("1e300", "row 2: `y` holds '1e300', which is too large for float32"),
        ("-1e300", "row 2: `y` holds '-1e300', which is too large for float32"),
        ("1e400", "row 2: `y` holds '1e400', which is too large for float32"),
        ("inf", "`y` holds inf at step 1"),
    ],
)
def test_cells_that_are_no_numbers_of_the_model(rows: Model, cell: str, text: str) -> None:
    columns = {"a": ["1", "2"], "b": ["1", "2"], "y": ["1", cell]}
    with pytest.raises(ModelError) as caught:
        gather(rows, Table(columns, inputs=("a", "b")))
    assert text in str(caught.value)


def test_whole_cells_that_are_too_large(tmp_path: Path) -> None:
    columns = {"word": ["1", "1e300"], "bias": [1, 1], "kind": [0, 0]}
    with pytest.raises(ModelError, match="row 2: `word` holds '1e300', which is too large for int32"):
        gather(opened(tmp_path, ONCE), Table(columns))


def test_names_of_columns_may_look_like_numbers_of_python(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1_0,2_0\n1,2\n")
    found = read_data(tmp_path / "a.csv")
    assert isinstance(found, Table) and list(found.columns) == ["1_0", "2_0"]


@pytest.mark.parametrize(("place", "value"), [(6, 1), (8, 99)], ids=["encrypted", "unknown compression"])
def test_archives_that_cannot_be_opened_are_named(tmp_path: Path, place: int, value: int) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros((3, 2), np.float32))
    data = bytearray((tmp_path / "x.npz").read_bytes())
    data[place] = (
        value  # of the entry itself, and of the table at the end, where fields lie two bytes further
    )
    data[data.rindex(b"PK\x01\x02") + place + 2] = value
    (tmp_path / "x.npz").write_bytes(data)
    with pytest.raises(ModelError, match=r"x\.npz does not hold plain arrays"):
        read_data(tmp_path / "x.npz")


def test_a_file_of_arrays_under_the_other_name_is_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros((3, 2), np.float32))
    np.save(tmp_path / "y.npy", np.zeros((3, 2), np.float32))
    (tmp_path / "x.npz").rename(tmp_path / "x.npy")
    (tmp_path / "y.npy").rename(tmp_path / "y.npz")
    with pytest.raises(ModelError, match=r"x\.npy holds arrays by name; expected one array, or .* `\.npz`"):
        read_data(tmp_path / "x.npy")
    with pytest.raises(ModelError, match=r"y\.npz holds one array; expected arrays by name, or .* `\.npy`"):
        read_data(tmp_path / "y.npz")
    with zipfile.ZipFile(tmp_path / "z.npz", "w") as archive:
        archive.writestr("notes.txt", "none")
    (tmp_path / "noise.npz").write_bytes(b"noise of any kind")
    with pytest.raises(ModelError, match=r"noise\.npz does not hold plain arrays: it is no file of numpy"):
        read_data(tmp_path / "noise.npz")
    with pytest.raises(ModelError, match=r"z\.npz: `notes\.txt` is not an array"):
        read_data(tmp_path / "z.npz")
