"""The name that was probably meant: same letters in another case, else the nearest by edit distance."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate closest to `name`, at most a third of its length away; of equals the first."""
    if len(name) > 60:
        return None
    several = list(dict.fromkeys(candidates))
    plain = name.lower().replace("_", "")
    for candidate in several:
        if candidate != name and candidate.lower().replace("_", "") == plain:
            return candidate
    best, least = None, max(1, len(name) // 3) + 1 if len(name) > 1 else 0
    for candidate in several:
        if candidate != name and abs(len(candidate) - len(name)) < least:
            distance = edit_distance(name.lower(), candidate.lower())
            if distance < least:
                best, least = candidate, distance
    return best


def edit_distance(one: str, other: str) -> int:
    """Insertions, deletions, replacements and swaps of neighbours that lead from one word to the other."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        before, last, row = row, before, [i]
        for j, opposite in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != opposite))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == opposite:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]
