"""Tree to Flow: names, sizes, axes, cells inlined, overrides applied. All mistakes of the author are raised here."""

from seqc.lower.entry import LowerOptions, check, lower

__all__ = ["LowerOptions", "check", "lower"]
