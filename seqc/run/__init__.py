"""The room that runs models: Model over an Engine, State, weights files, training and generation.

All but `evaluator.py` needs numpy alone and is copied into the packages that `seqc build` writes.
"""

from __future__ import annotations

from .fault import ModelError
from .model import Model
from .package import model_class, open_package, read_manifest
from .state import State
from .views import Gradients, Score

__all__ = [
    "Gradients",
    "Model",
    "ModelError",
    "Score",
    "State",
    "model_class",
    "open_package",
    "read_manifest",
]
