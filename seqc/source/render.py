"""Messages as text: the picture for people, with the source line and a mark below it, and plain data for editors.

Everything printed is made harmless first: a control character or one that turns the direction of writing is shown as
`�`. Marks stand below what they mean whatever the width of the characters before them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

from seqc.source.diagnostic import Diagnostic, Label, Severity
from seqc.source.text import Source

WIDTH = 110
TAB = 4

_RED, _YELLOW, _BLUE, _BOLD, _PLAIN = "\x1b[31;1m", "\x1b[33;1m", "\x1b[34;1m", "\x1b[1m", "\x1b[0m"


def render(diagnostic: Diagnostic, *, colour: bool = False) -> str:
    """The picture of one message, without a line end behind its last line."""
    lead = diagnostic.severity.value
    strong = _RED if diagnostic.severity is Severity.ERROR else _YELLOW
    head = f"{_paint(f'{lead}[{diagnostic.code}]', strong, colour)}{_paint(f': {harmless(diagnostic.title)}', _BOLD, colour)}"
    lines = [head]
    gutter = 2
    if diagnostic.label is not None:
        labels = (diagnostic.label, *diagnostic.others)
        gutter = max(len(str(label.span.line)) for label in labels)
        for group in _by_source(diagnostic.label, labels):
            lines.extend(_picture(group, diagnostic.label, gutter, strong, colour))
    tail = [*diagnostic.notes, *([] if diagnostic.hint is None else [diagnostic.hint])]
    lines.extend(" " * (gutter + 1) + harmless(line) for text in tail for line in text.split("\n"))
    return "\n".join(lines)


def to_json(diagnostics: Iterable[Diagnostic]) -> list[dict[str, Any]]:
    """The same as plain data: lines and columns count characters from 1, ends are exclusive."""
    return [
        {
            "code": each.code,
            "severity": each.severity.value,
            "title": each.title,
            "label": None if each.label is None else _label_json(each.label),
            "others": [_label_json(label) for label in each.others],
            "notes": list(each.notes),
            "hint": each.hint,
        }
        for each in diagnostics
    ]


def _label_json(label: Label) -> dict[str, Any]:
    span = label.span
    return {
        "file": span.source.name,
        "line": span.line,
        "column": span.column,
        "end_line": span.source.line_of(span.end),
        "end_column": span.source.column_of(span.end),
        "text": label.text,
    }


def harmless(text: str) -> str:
    """Text without characters that could change how a terminal shows the rest."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(character if _width(character) or _combines(character) else "�" for character in text)


def _paint(text: str, how: str, colour: bool) -> str:
    return f"{how}{text}{_PLAIN}" if colour else text


def _by_source(main: Label, labels: tuple[Label, ...]) -> list[list[Label]]:
    """Labels of one file together, in the order of its lines; the file of the main label first."""
    groups: dict[str, list[Label]] = {main.span.source.name: []}
    for label in labels:
        groups.setdefault(label.span.source.name, []).append(label)
    return [sorted(group, key=lambda label: (label.span.line, label.span.start)) for group in groups.values()]


def _picture(group: list[Label], main: Label, gutter: int, strong: str, colour: bool) -> list[str]:
    first = main if main in group else group[0]
    corner = _paint(" " * gutter + " ┌─", _BLUE, colour)
    lines = [f"{corner} {harmless(str(first.span))}"]
    bar = _paint(" " * gutter + " │", _BLUE, colour)
    shown = 0
    for label in group:
        number = label.span.line
        together = [each for each in group if each.span.line == number]
        text, left = _window(label.span.source, number, together)
        if number != shown:
            lines.append(f"{_paint(f'{number:>{gutter}} │', _BLUE, colour)} {text}".rstrip())
            shown = number
        mark, style = ("^", strong) if label is main else ("-", _BLUE)
        space, marks = _underline(label, left)
        words = f" {harmless(label.text)}" if label.text else ""
        lines.append(f"{bar} {space}{_paint(mark * marks + words, style, colour)}")
    return lines


def _underline(label: Label, left: int) -> tuple[str, int]:
    """The blanks before the mark and how wide it is; a span over several lines is marked on its first."""
    source, number = label.span.source, label.span.line
    line, start = source.line_text(number), label.span.column - 1
    end = start + label.span.end - label.span.start
    before = _columns(line[:start])
    under = _columns(line[: min(max(end, start + 1), len(line))]) - before
    if left:
        before = max(before - left, 0) + 1
    return " " * before, max(1, min(under, WIDTH - before))


def _window(source: Source, number: int, labels: list[Label]) -> tuple[str, int]:
    """The part of a line that is shown, and how many columns are cut off at its left."""
    line = source.line_text(number)
    shown = _shown(line)
    if _columns(line) <= WIDTH:
        return shown, 0
    first = min(_columns(line[: label.span.column - 1]) for label in labels)
    left = 0 if first < WIDTH * 2 // 3 else first - WIDTH // 3
    return ("…" if left else "") + _cut(shown, left, WIDTH - 2) + "…", left


def _cut(shown: str, left: int, width: int) -> str:
    """The characters of a shown line between two columns; half of a wide one becomes a blank."""
    piece, column = "", 0
    for character in shown:
        wide = _width(character)
        if left <= column and column + wide <= left + width:
            piece += character
        elif column < left < column + wide:
            piece += " "
        column += wide
        if column > left + width:
            break
    return piece


def _shown(line: str) -> str:
    return harmless(_expanded(line))


def _expanded(line: str) -> str:
    if "\t" not in line:
        return line
    text, column = "", 0
    for character in line:
        piece = " " * (TAB - column % TAB) if character == "\t" else character
        text += piece
        column += len(piece) if character == "\t" else _shown_width(character)
    return text


def _columns(line: str) -> int:
    """How many columns of a terminal a piece of a line, from its beginning, takes."""
    if line.isascii() and line.isprintable():
        return len(line)
    return sum(_shown_width(character) for character in _expanded(line))


def _shown_width(character: str) -> int:
    """Width of what is printed for a character: `�` for those that are not shown themselves."""
    return _width(character) or (0 if _combines(character) else 1)


def _combines(character: str) -> bool:
    return unicodedata.category(character) in ("Mn", "Me") and not "\ufe00" <= character <= "\ufe0f"


def _width(character: str) -> int:
    """Columns of a character; 0 for one that combines, or that must not be printed."""
    if " " <= character <= "~":
        return 1
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1
