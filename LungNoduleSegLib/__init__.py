"""LungNoduleSeg: find and segment lung nodules in chest CT. Research use only.

    from LungNoduleSegLib import load_segmenter, read_ct
    result = load_segmenter("model-2-compact").segment(read_ct("folder"))

Names are resolved on first use, so that importing the package costs nothing and never imports torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from LungNoduleSegLib.ct import CT, read_ct
    from LungNoduleSegLib.segmenter import load_segmenter

_HOMES = {"CT": "ct", "read_ct": "ct", "load_segmenter": "segmenter"}
__all__ = ["CT", "__version__", "load_segmenter", "read_ct"]


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
