"""What a Python needs so that a run works in it, by import name."""

from __future__ import annotations

from collections.abc import Iterable

ENGINES: dict[str, str | None] = {"onnxruntime": "onnxruntime>=1.18", "openvino": "openvino>=2025.0", "torch": None}
"""What computes the networks, the smaller one first; one of them is enough. ONNX Runtime (some 30 MB) and OpenVINO
(some 60 MB, faster on x86) run on the CPU, PyTorch on graphics cards too. The values are what pip is to be given; None
for torch, which the PyTorch extension installs."""

REQUIREMENTS: dict[str, str | None] = {"safetensors": "safetensors>=0.4"}
"""What else Slicer does not bring."""

BROUGHT_BY_SLICER: dict[str, str] = {"numpy": "numpy>=1.24", "scipy": "scipy>=1.10"}
"""What Slicer's own Python always has, and another Python may lack."""

OLDEST_PYTHON = (3, 10)

TITLES = {"torch": "PyTorch", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
"""Names that people know better than the import name."""


def title(package: str) -> str:
    """Name of a package in a sentence."""
    return TITLES.get(package, package)


def missing_engine(present: Iterable[str], device: str = "auto") -> str | None:
    """The engine to install, of those that are not there: PyTorch for a graphics card, the smaller one where there is
    none at all; None where what is there will do.

    Parameters
    ----------
    present
        Engines that are there.
    device
        As a run is given it: "auto", "cpu", "cuda", "cuda:N" or "mps".
    """
    there = set(present) & set(ENGINES)
    if device not in ("auto", "cpu"):
        return None if "torch" in there else "torch"
    return None if there else next(iter(ENGINES))
