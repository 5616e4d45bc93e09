"""The long form of every message: one page `S0xxx.md` for each code, in this folder.

A page begins with `# S0xxx: title`, says what the message means and why the rule is there, and shows a wrong and a
right program.
"""

from __future__ import annotations

import re
from importlib import resources

_CODE = re.compile(r"(S0[1-9][0-9]{2})\.md")


def codes() -> tuple[str, ...]:
    """All codes that have a page, in order."""
    names = (entry.name for entry in resources.files(__package__).iterdir())
    return tuple(sorted(match[1] for name in names if (match := _CODE.fullmatch(name))))


def page(code: str) -> str:
    """The page of one of `codes()`."""
    if code not in codes():
        raise KeyError(code)
    return resources.files(__package__).joinpath(f"{code}.md").read_text("utf-8")
