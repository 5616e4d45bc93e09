"""Lines of generated C++, broken as `clang-format` (LLVM style, 110 columns) would break them.

Only calls and declarations may grow longer than a line; their arguments are filled in as many as fit, the next
lines begin under the first argument. Everything else is written in short statements.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

COLUMNS = 110


def call(indent: int, head: str, arguments: Sequence[str], tail: str = ");") -> list[str]:
    """`head(a, b, …` + tail as lines; `head` ends before the bracket."""
    opening = " " * indent + head + "("
    one = opening + ", ".join(arguments) + tail
    if len(one) <= COLUMNS:
        return [one]
    lines: list[str] = []
    margin = " " * len(opening)
    current = opening
    fresh = True
    for number, argument in enumerate(arguments):
        end = tail if number == len(arguments) - 1 else ","
        piece = argument if fresh else " " + argument
        if not fresh and len(current) + len(piece) + len(end) > COLUMNS:
            lines.append(current)
            current, piece = margin, argument
        current += piece + end
        fresh = False
    lines.append(current)
    return lines


def block_comment(text: str, indent: int = 0) -> list[str]:
    """`text` as a C comment, broken between words where it is longer than a line; it cannot end early."""
    safe = text.replace("*/", "* /").replace("/*", "/ *").replace("\\", "/").replace("??/", "?/")
    margin = " " * indent
    lines: list[str] = []
    current = margin + "/*"
    for word in safe.split():
        if len(current) + 1 + len(word) > COLUMNS - 3 and current.strip() != "/*":
            lines.append(current)
            current = margin + "  "
        current += " " + word
    return [*lines, current + " */"]


def mentions(lines: Sequence[str], name: str) -> bool:
    """Whether the identifier `name` occurs, outside of comments and not as a name of a namespace: `kernels::end` is no `end`."""
    word = re.compile(rf"(?<!::)\b{re.escape(name)}\b")
    return any(word.search(line.partition("//")[0]) for line in lines)


def comment(text: str, indent: int = 0) -> list[str]:
    """`text` as `//` lines of at most 110 columns, broken between words; a backslash at an end is kept from joining lines."""
    width = COLUMNS - indent - 3
    lines: list[str] = []
    line = ""
    for word in text.replace("\\", "/").split():
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return [(" " * indent + "// " + each).rstrip() for each in [*lines, line]]


def commented(rows: Sequence[tuple[str, str]], indent: int) -> list[str]:
    """Elements of a list, one on each line, each with what it means; the comments stand below each other."""
    width = max((len(text) for text, _ in rows), default=0) + 1
    return [f"{' ' * indent}{(text + ',').ljust(width)} // {about}" for text, about in rows]


def tidy(text: str) -> str:
    """No two empty lines in a row, none before a closing brace: as a formatter would leave it."""
    lines: list[str] = []
    for line in text.split("\n"):
        line = line.rstrip()
        if line == "" and lines and lines[-1] == "":
            continue
        lines.append(line)
    return "\n".join(lines).rstrip("\n") + "\n"
