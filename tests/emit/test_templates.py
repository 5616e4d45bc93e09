"""Templates: each one asks for exactly the fields of its record, stays small, and computes nothing."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest
from jinja2 import meta

from seqc.emit.render import TEMPLATES, environment, folder


def test_every_template_has_a_record() -> None:
    found = {str(path.relative_to(folder())) for path in folder().rglob("*.jinja")}
    assert found == set(TEMPLATES)


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_fields_and_holes_are_the_same(name: str) -> None:
    text = (folder() / name).read_text()
    names = meta.find_undeclared_variables(environment().parse(text))
    assert names == {field.name for field in fields(TEMPLATES[name])}
    assert text.startswith(f"{{# context: {TEMPLATES[name].__name__} #}}\n")


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_templates_are_small_and_plain(name: str) -> None:
    text = (folder() / name).read_text()
    assert len(text.splitlines()) <= 120
    for tag in re.findall(r"\{%\s*(\w+)", text):
        assert tag in {"for", "endfor", "if", "else", "endif"}
    for hole in re.findall(r"\{\{-?\s*(.*?)\s*-?\}\}", text):
        assert re.fullmatch(r"[a-z_.]+", hole), f"a hole that computes: {hole}"
