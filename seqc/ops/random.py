"""Random numbers that depend on nothing but who asks: seed, call, site, step, row and element.

Philox 4x32 with ten rounds, used twice, exactly as `runtime/random.hpp` does it: seed, call and site are mixed
to a key, and under that key (element div 4, row, step) gives four words, of which element mod 4 picks one. Its
upper 24 bits k are the number k / 2^24, so that every engine sees the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]
"""Words of 32 bits, kept in 64 so that products need no second type."""

MASK = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
TAG = 0x73657163
ROUNDS = 10


def philox(counter: tuple[Words, Words, Words, Words], key: tuple[Words, Words]) -> tuple[Words, ...]:
    """Four words of 32 random bits for each counter and key; all arguments broadcast."""
    a, b, c, d = counter
    key0, key1 = key
    for _ in range(ROUNDS):
        first, second = np.uint64(0xD2511F53) * a, np.uint64(0xCD9E8D57) * c
        a, b, c, d = (second >> HALF) ^ b ^ key0, second & MASK, (first >> HALF) ^ d ^ key1, first & MASK
        key0, key1 = (key0 + np.uint64(0x9E3779B9)) & MASK, (key1 + np.uint64(0xBB67AE85)) & MASK
    return a, b, c, d


def halves(number: Any) -> tuple[Words, Words]:
    """The low and the high word of 64-bit integers, negative ones as their two's complement."""
    if isinstance(number, int):
        number &= 2**64 - 1
    bits = np.asarray(number).astype(np.uint64)
    return bits & MASK, bits >> HALF


def draw(seed: Any, call: Any, site: Any, step: Any, row: Any, element: Any) -> npt.NDArray[np.float64]:
    """Reals k / 2^24 in [0, 1), one for each of the broadcast integer arguments."""
    tag = np.asarray(TAG, dtype=np.uint64)
    call_low, call_high = halves(call)
    key = philox((call_low, call_high, halves(site)[0], tag), halves(seed))
    step_low, step_high = halves(step)
    place = halves(element)[0]
    counter = (place >> np.uint64(2), halves(row)[0], step_low, step_high)
    words = np.broadcast_arrays(place & np.uint64(3), *philox(counter, (key[0], key[1])))
    chosen = np.choose(words[0].astype(np.intp), words[1:])
    return np.asarray((chosen >> np.uint64(8)).astype(np.float64) / 2.0**24)
