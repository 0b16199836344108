"""Import packages that import torchvision, where no torchvision fits the CPU build of torch.

There ``import torchvision`` ends with "operator torchvision::nms does not exist", because its compiled part cannot be
loaded. None of the operators is used here: they only have to be declared. For tests only.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_declared: list[torch.library.Library] = []


def declare_operators() -> None:
    """Declare ``torchvision::nms`` and ``qnms``, unless torchvision's own compiled part can be loaded."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None or _declared:
        return
    for compiled in Path(spec.origin).parent.glob("_C.*"):
        try:
            torch.ops.load_library(str(compiled))
        except (ImportError, OSError):
            continue
    if hasattr(torch.ops.torchvision, "nms"):
        return
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(name + _SIGNATURE)
    _declared.append(library)  # a library takes its operators along when it is collected


def reference(module: str) -> ModuleType:
    """Import a module of a reference package; the test is skipped where the package is not installed."""
    package = module.partition(".")[0]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} (extra `test`) is not installed")
    declare_operators()
    return importlib.import_module(module)
