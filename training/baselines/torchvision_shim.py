"""Import timm where no torchvision fits the build of torch.

timm imports torchvision, and with the CPU wheel of torch that ends with "operator torchvision::nms does not exist",
because torchvision's compiled part cannot be loaded. None of its operators is used: they only have to be declared.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

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
