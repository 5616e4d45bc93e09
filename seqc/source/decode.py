"""Bytes to a source: UTF-8 without characters that hide or turn round what a reader sees.

Whatever is refused is named with its line and column. Line ends become `\\n`; a byte order mark is dropped.
"""

from __future__ import annotations

import re
import unicodedata

from seqc.source.diagnostic import Diagnostic, Label, SeqError
from seqc.source.span import Span
from seqc.source.text import Source

SIZE_LIMIT = 1 << 20

# Controls, line separators other than \n, marks that turn the direction of writing, and characters without width.
_HIDDEN = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180e\\u200b-\\u200f"
    "\\u2028-\\u202e\\u2060-\\u206f\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff9-\\ufffb\\ud800-\\udfff"
    "\\U000e0000-\\U000e0fff]"
)
_TURNING = re.compile("[\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]")


def from_bytes(name: str, data: bytes) -> Source:
    """The source of a file's bytes; SeqError S0102, S0103 or S0109 where it is not plain readable text."""
    if len(data) > SIZE_LIMIT:
        raise _too_large(name, len(data))
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or data[:4] == b"\x00\x00\xfe\xff":
        raise _not_utf8(Source(name, ""), 0, 0, "this file is UTF-16 or UTF-32", "save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # A part of the file stands in for what cannot be read, so that the place can be shown.
        shown = data.decode("utf-8-sig", errors="replace")
        before = len(data[: error.start].decode("utf-8-sig", errors="replace"))
        title = f"byte 0x{data[error.start]:02X} is not UTF-8"
        source = Source(name, _HIDDEN.sub("\ufffd", _one_line_end(shown[: before + 200])))
        place = len(_one_line_end(shown[:before]))
        raise _not_utf8(source, place, place + 1, title, "save the file as UTF-8") from None
    source = Source(name, _one_line_end(text))
    check_text(source)
    return source


def check_text(source: Source) -> None:
    """Refuses a text that is too long or holds characters that a reader does not see."""
    if len(source.text) > SIZE_LIMIT:
        raise _too_large(source.name, len(source.text))
    found = [
        _hidden(source, match) for _, match in zip(range(20), _HIDDEN.finditer(source.text), strict=False)
    ]
    if found:
        raise SeqError(found)


def _one_line_end(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _hidden(source: Source, match: re.Match[str]) -> Diagnostic:
    character = match.group()
    code = f"U+{ord(character):04X}"
    name = unicodedata.name(character, "")
    called = f"{code} {name}" if name else code
    if character == "\0":
        code, title, why = "S0102", "a NUL byte in the text", "this is not a text file, or UTF-16"
    elif _TURNING.match(character):
        code, title, why = (
            "S0103",
            f"a character that turns the direction of writing: {called}",
            "stands here",
        )
    elif unicodedata.category(character) == "Cc":
        code, title, why = "S0103", f"a control character: {called}", "stands here"
    else:
        code, title, why = "S0103", f"a character that cannot be seen: {called}", "stands here"
    hint = "take it out; what a reader sees must be what the compiler reads"
    return Diagnostic(code, title, Label(Span(source, match.start(), match.end()), why), hint=hint)


def _not_utf8(source: Source, start: int, end: int, title: str, hint: str) -> SeqError:
    return SeqError(Diagnostic("S0102", title, Label(Span(source, start, end)), hint=hint))


def _too_large(name: str, size: int) -> SeqError:
    place = Label(Span(Source(name, ""), 0, 0))
    title = f"this file is too large: {size:,} bytes, at most {SIZE_LIMIT:,}"
    return SeqError(
        Diagnostic("S0109", title, place, hint="put its parts into files of their own and `use` them")
    )
