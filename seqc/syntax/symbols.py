"""Names, numbers and signs in LaTeX, as GitHub prints it: `symbol("beta1")` is `\\beta_1`.

Only macros that GitHub allows are used (`\\mathrm` where others write `\\operatorname`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

COMPARISONS: Mapping[str, str] = {
    "<": "<",
    "<=": r"\le",
    ">": ">",
    ">=": r"\ge",
    "==": "=",
    "!=": r"\ne",
    "and": r"\land",
    "or": r"\lor",
}

FUNCTIONS: Mapping[str, str] = {
    "tanh": r"\tanh",
    "exp": r"\exp",
    "log": r"\log",
    "sin": r"\sin",
    "cos": r"\cos",
    "max": r"\max",
    "min": r"\min",
    "sigmoid": r"\sigma",
}

SPECIAL: Mapping[str, str] = {
    "lr": r"\eta",
    "dt": r"\Delta t",
    "eps": r"\varepsilon",
    "rho": r"\rho",
    "theta": r"\theta",
    "beta1": r"\beta_1",
    "beta2": r"\beta_2",
    "momentum": r"\mu",
    "decay": r"\lambda",
    "pi": r"\pi",
    "training": r"\text{training}",
    "gg": r"\mathrm{gg}",
    "dd": r"\mathrm{dd}",
}


def symbol(name: str) -> str:
    """A name: one letter as it is, two as a letter with an index, words upright."""
    if name in SPECIAL:
        return SPECIAL[name]
    if len(name) == 1:
        return name
    if len(name) == 2 and name.isalnum():
        return f"{name[0]}_{name[1]}"
    return word(name)


def word(name: str) -> str:
    """A name in upright letters."""
    upright = name.replace("_", r"\_")
    return rf"\mathrm{{{upright}}}"


def indexed(text: str, index: str) -> str:
    """With one more index behind those that it has."""
    if not index:
        return text
    plain = re.fullmatch(r"(.+)_(\w)", text)
    if plain and not plain[1].endswith("\\"):
        return f"{plain[1]}_{{{plain[2]}, {index}}}"
    return f"{text}_{{{index}}}" if len(index) > 1 else f"{text}_{index}"


def number(text: str) -> str:
    """A number: `1e-5` becomes a power of ten."""
    digits, _, exponent = text.replace("_", "").partition("e")
    if not exponent:
        return digits
    power = f"10^{{{int(exponent)}}}"
    return power if digits in ("1", "1.0") else rf"{digits} \cdot {power}"
