"""Texts, places, messages and their pictures."""

from __future__ import annotations

import pytest

from seqc.source.decode import from_bytes
from seqc.source.diagnostic import Collector, Diagnostic, Label, SeqError, Severity, fail
from seqc.source.render import render, to_json
from seqc.source.span import Span
from seqc.source.suggest import nearest
from seqc.source.text import Source


def span(text: str, part: str, name: str = "a.seq") -> Span:
    start = text.index(part)
    return Span(Source(name, text), start, start + len(part))


def test_lines_and_columns() -> None:
    source = Source("a.seq", "one\n\nthree")
    assert [source.line_of(offset) for offset in (0, 3, 4, 5, 9, 99)] == [1, 1, 2, 3, 3, 3]
    assert [source.column_of(offset) for offset in (0, 3, 4, 5, 9)] == [1, 4, 1, 1, 5]
    assert [source.line_text(number) for number in (1, 2, 3)] == ["one", "", "three"]


def test_spans_join_and_know_their_place() -> None:
    text = "x = a\ny = b"
    joined = span(text, "a").to(span(text, "b"))
    assert joined.text == "a\ny = b"
    assert (str(joined), joined.place, joined.end_line) == ("a.seq:1:5", "a.seq:1", 2)


@pytest.mark.parametrize(
    ("data", "code", "line", "column"),
    [
        (b"model\nM \xff", "S0102", 2, 3),
        ("größe\n".encode("latin-1"), "S0102", 1, 3),
        ("model M { }".encode("utf-16"), "S0102", 1, 1),
        (b"a\nb\0", "S0102", 2, 2),
        ("a\n  \u202e".encode(), "S0103", 2, 3),
        ("a\n\u200b".encode(), "S0103", 2, 1),
        (b"a \x1b[31m", "S0103", 1, 3),
        (b"# " + b"x" * (1 << 20), "S0109", 1, 1),
    ],
)
def test_what_is_not_plain_text_is_refused_with_its_place(
    data: bytes, code: str, line: int, column: int
) -> None:
    with pytest.raises(SeqError) as caught:
        from_bytes("a.seq", data)
    first = caught.value.diagnostics[0]
    assert first.label is not None
    assert (first.code, first.label.span.line, first.label.span.column) == (code, line, column)


def test_line_ends_of_other_systems_and_a_byte_order_mark() -> None:
    assert from_bytes("a.seq", b"\xef\xbb\xbfa\r\nb\rc\n").text == "a\nb\nc\n"


TEXT = "fn f(x: real[4]) = x\n" + "\n" * 8 + "  y = f(push)\n"


def test_the_picture_of_a_message() -> None:
    main, other = span(TEXT, "push"), span(TEXT, "real[4]")
    message = Diagnostic(
        "S0304",
        "sizes do not fit",
        Label(main, "found    real[2]"),
        (Label(other, "expected real[4]"),),
        ("`push` has two components",),
        "pick one: `push[0]`",
    )
    assert render(message).split("\n") == [
        "error[S0304]: sizes do not fit",
        "   ┌─ a.seq:10:9",
        " 1 │ fn f(x: real[4]) = x",
        "   │         ------- expected real[4]",
        "10 │   y = f(push)",
        "   │         ^^^^ found    real[2]",
        "   `push` has two components",
        "   pick one: `push[0]`",
    ]


def test_places_in_two_files_have_two_pictures() -> None:
    message = Diagnostic(
        "S0200", "twice", Label(span("b = 1", "b")), (Label(span("b = 2", "b", "o.seq"), "here"),)
    )
    assert render(message).split("\n") == [
        "error[S0200]: twice",
        "  ┌─ a.seq:1:1",
        "1 │ b = 1",
        "  │ ^",
        "  ┌─ o.seq:1:1",
        "1 │ b = 2",
        "  │ - here",
    ]


def test_a_message_without_a_place() -> None:
    message = Diagnostic("S0901", "no compiler", notes=("neither g++ nor clang++",), hint="install one")
    assert render(message) == "error[S0901]: no compiler\n   neither g++ nor clang++\n   install one"


@pytest.mark.parametrize(
    ("line", "mark"),
    [
        ("\tx = bad", "        ^^^"),
        ("日本 = bad", "       ^^^"),
        ("e\u0301 = bad", "    ^^^"),
        ("a \u202e= bad", "     ^^^"),
    ],
)
def test_marks_stand_below_what_they_mean(line: str, mark: str) -> None:
    assert render(Diagnostic("S0000", "t", Label(span(line, "bad")))).split("\n")[3] == "  │ " + mark


def test_a_long_line_is_cut_around_the_mark() -> None:
    text = "1 + " * 200 + "bad" + " + 1" * 200
    lines = render(Diagnostic("S0000", "t", Label(span(text, "bad"), "here"))).split("\n")
    column = lines[3].index("^")
    assert lines[2][column : column + 3] == "bad"
    assert lines[2].startswith("1 │ …") and lines[2].endswith("…")
    assert max(map(len, lines)) < 120


def test_nothing_printed_can_steer_a_terminal() -> None:
    source = Source("\x1b[2Ja.seq", "x = \x1b[31m1")
    message = Diagnostic("S0000", "\x07", Label(Span(source, 0, 1), "\u202e"), notes=("\x9b1m",), hint="\r")
    assert not set(render(message)) & set("\x1b\x07\u202e\x9b\r")


def test_colours_only_when_asked() -> None:
    message = Diagnostic("S0000", "t", Label(span("x = 1", "x")))
    assert "\x1b" not in render(message) and "\x1b[31;1m" in render(message, colour=True)


def test_the_data_of_a_message() -> None:
    (data,) = to_json(
        [Diagnostic("S0000", "t", Label(span("\n x = 1", "x"), "here"), severity=Severity.WARNING)]
    )
    assert data["severity"] == "warning"
    place = {"file": "a.seq", "line": 2, "column": 2, "end_line": 2, "end_column": 3, "text": "here"}
    assert data["label"] == place


def test_a_collector_raises_once_in_reading_order() -> None:
    text = "a b"
    collector = Collector()
    collector.add(fail("S0002", "second", span(text, "b")))
    collector.add(fail("S0001", "first", span(text, "a")))
    collector.add(fail("S0001", "first", span(text, "a")))
    with pytest.raises(SeqError) as caught:
        collector.finish()
    assert [each.code for each in caught.value.diagnostics] == ["S0001", "S0002"]


def test_warnings_alone_do_not_raise() -> None:
    collector = Collector()
    collector.add(Diagnostic("S0001", "w", severity=Severity.WARNING))
    assert [each.title for each in collector.finish()] == ["w"]


@pytest.mark.parametrize(
    ("name", "candidates", "found"),
    [
        ("inptu", ["input", "output"], "input"),
        ("lstm", ["LSTM", "list"], "LSTM"),
        ("layernorm", ["LayerNorm"], "LayerNorm"),
        ("h2g", ["i", "f", "g"], None),
        ("x", ["y"], None),
        ("sigmiod", ["sigmoid", "softmax"], "sigmoid"),
        ("completely", ["different"], None),
    ],
)
def test_the_nearest_name(name: str, candidates: list[str], found: str | None) -> None:
    assert nearest(name, candidates) == found
