"""Names in generated text: identifiers everywhere, different ones, the same ones each time."""

from __future__ import annotations

import keyword
import re

import pytest

from seqc.emit.names import RESERVED, Namer, mangle


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("logits.lstm1.f.U", "logits_lstm1_f_U"),
        ("d logits.lstm1.f.U", "d_logits_lstm1_f_U"),
        ("class", "class_"),
        ("Linux", "Linux_"),
        ("I", "I_"),
        ("lambda", "lambda_"),
        ("threadIdx", "threadIdx_"),
        ("tanh", "tanh_"),
        ("2nd", "v2nd"),
        ("__weird__", "weird"),
        ("...", "value"),
        ("SEQC_OK", "vSEQC_OK"),
        ("__SEQC_INLINE", "vSEQC_INLINE"),
    ],
)
def test_a_name_becomes_an_identifier(name: str, expected: str) -> None:
    assert mangle(name) == expected


def test_no_name_is_a_word_of_a_target_language() -> None:
    for word in [*keyword.kwlist, "int", "template", "register", "unix", "near", "exp", "real", "blockDim"]:
        assert mangle(word).lower() not in RESERVED
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", mangle(word))
        assert "__" not in mangle(word)


def test_names_that_collide_are_told_apart_in_order() -> None:
    namer = Namer()
    assert [namer.name(each) for each in ("a.b", "a_b", "A.B", "a b")] == ["a_b", "a_b_2", "A_B_3", "a_b_4"]
    assert [namer.name("exp"), namer.name("exp")] == ["exp_", "exp_2"]
