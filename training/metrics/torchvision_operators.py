"""Let packages import torchvision where its compiled part does not fit the torch that is there.

The package index's torchvision for Linux is built for CUDA. Beside a CPU build of torch its import ends with "operator
torchvision::nms does not exist", and with it that of torchmetrics, Lightning and timm. None of them uses those
operators here: they only have to be declared. Where torchvision is absent, or whole, nothing is done.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import torch

_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_declared: list[torch.library.Library] = []


def declare_operators() -> None:
    """Declare ``torchvision::nms`` and ``qnms`` unless torchvision's own can be loaded; call it before the import."""
    if _declared or "torchvision" in sys.modules:
        return
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
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
