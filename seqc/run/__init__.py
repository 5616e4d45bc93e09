"""The room that runs models: Model over an Engine, State, weights files, training and generation.

All but `evaluator.py` needs numpy alone and is copied into the packages that `seqc build` writes.
"""

from __future__ import annotations
