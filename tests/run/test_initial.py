"""The initialisers `legendre` (a memory that can be read back, the exact step of its equation) and `eye`, and mistakes in their use."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.polynomial.legendre import legval

from seqc.run.initial import initial, legendre
from seqc.source.diagnostic import SeqError
from tests.helpers import program

SIZE, THETA = 12, 40.0


def test_the_memory_holds_the_last_steps() -> None:
    """Weights of Legendre polynomials shifted to [0, 1] give the signal back, `back * theta` steps ago."""
    A, B = legendre((SIZE, SIZE), THETA), legendre((SIZE,), THETA)
    signal = np.sin(np.arange(300) / 9.0) + 0.3 * np.cos(np.arange(300) / 14.0)
    m = np.zeros(SIZE)
    for each in signal:
        m = A @ m + B * each
    for back in (0.25, 0.5, 0.75, 1.0):
        read = legval(2 * back - 1, m)
        between = np.interp(299.5 - back * THETA, np.arange(300), signal)
        assert abs(read - between) < 0.02, back


def test_two_half_steps_are_one() -> None:
    """The input is held between steps, so a step of twice the size is the same as two with equal input."""
    A, B = legendre((5, 5), 8.0), legendre((5,), 8.0)
    half, drive = legendre((5, 5), 16.0), legendre((5,), 16.0)
    np.testing.assert_allclose(half @ half, A, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(half @ drive + drive, B, rtol=1e-12, atol=1e-13)


def test_a_long_memory_stays_stable() -> None:
    A = legendre((256, 256), 784.0)
    assert np.abs(np.linalg.eigvals(A)).max() < 1.0
    assert np.isfinite(A).all()


def test_it_is_an_initialiser_like_others() -> None:
    init = ("mul", ("constant", 2.0), ("legendre", 8.0))
    np.testing.assert_array_equal(initial(init, (3,), 0, "w"), 2.0 * legendre((3,), 8.0))


def test_eye_has_ones_on_its_diagonal() -> None:
    np.testing.assert_array_equal(initial(("eye",), (2, 3), 0, "w"), [[1, 0, 0], [0, 1, 0]])
    init = ("add", ("mul", ("constant", 0.5), ("eye",)), ("constant", 1.0))
    np.testing.assert_array_equal(initial(init, (2, 2), 0, "w"), [[1.5, 1], [1, 1.5]])


MODEL = """
model M {
  input x: real[3]
  param A: real[%s] = %s
  output y = sum(A) + sum(x)
}
"""


@pytest.mark.parametrize(
    ("dims", "start", "code", "words"),
    [
        ("2, 3", "legendre(4)", "S0304", "square matrix or a vector"),
        ("3", "2 * eye", "S0304", "fills a matrix"),
        ("3, 3", "eye(3)", "S0303", "takes no arguments"),
        ("3, 3", "2 * legendre(0)", "S0310", "longer than nothing"),
        ("3, 3", "legendre", "S0303", "number of steps"),
        ("3, 3", "legendre(1, 2)", "S0303", "found 2 arguments"),
        ("3, 3", "sum(legendre(3))", "S0204", "is an initialiser"),
    ],
)
def test_mistakes(dims: str, start: str, code: str, words: str) -> None:
    with pytest.raises(SeqError) as caught:
        program(MODEL % (dims, start))
    assert code in str(caught.value.diagnostics[0])
    assert words in str(caught.value.diagnostics[0])
