"""What a Python needs so that a run works in it, by import name."""

from __future__ import annotations

REQUIREMENTS: dict[str, str | None] = {"torch": None, "safetensors": "safetensors>=0.4"}
"""What Slicer does not bring, with what pip is to be given; None for torch, which the PyTorch extension installs."""

BROUGHT_BY_SLICER: dict[str, str] = {"numpy": "numpy>=1.24", "scipy": "scipy>=1.10"}
"""What Slicer's own Python always has, and another Python may lack."""

OLDEST_PYTHON = (3, 10)

TITLES = {"torch": "PyTorch"}
"""Names that people know better than the import name."""


def title(package: str) -> str:
    """Name of a package in a sentence."""
    return TITLES.get(package, package)
