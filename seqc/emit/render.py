"""The one Jinja environment, and the way from a context record to text."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from seqc.emit import contexts

TEMPLATES: dict[str, type[Any]] = {
    "cpp/unit.cpp.jinja": contexts.Unit,
    "cpp/parts.hpp.jinja": contexts.Parts,
    "cpp/part.cpp.jinja": contexts.Part,
    "cpp/header.h.jinja": contexts.Header,
    "cpp/chooser.cpp.jinja": contexts.Chooser,
    "python/init.py.jinja": contexts.Package,
    "python/init.pyi.jinja": contexts.Stub,
    "aot/main.cpp.jinja": contexts.Executable,
    "aot/config.cmake.jinja": contexts.CMakePackage,
}


def folder() -> Path:
    """The templates: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "templates"
    return inside if inside.is_dir() else package.parent / "templates"


@cache
def environment() -> Environment:
    """Strict about names that a context lacks; text, not HTML."""
    return Environment(
        loader=FileSystemLoader(folder()),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


def render(template: str, context: object) -> str:
    """The template, poured full of its record."""
    expected = TEMPLATES[template]
    assert isinstance(context, expected)
    values = {each.name: getattr(context, each.name) for each in fields(context)}
    return environment().get_template(template).render(values)
