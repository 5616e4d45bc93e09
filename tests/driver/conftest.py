"""The same working folder as for the command line."""

from __future__ import annotations

from tests.cli.conftest import here, shared_cache

__all__ = ["here", "shared_cache"]
