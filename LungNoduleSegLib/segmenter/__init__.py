"""The public API: a CT in, nodules out.

    segmenter = load_segmenter("model-2-compact", device="auto")
    result = segmenter.segment(ct)
    result = segmenter.click(ct, positive_ras=[(x, y, z)])
"""

from LungNoduleSegLib.segmenter.load import load_segmenter
from LungNoduleSegLib.segmenter.result import Result
from LungNoduleSegLib.segmenter.segmenter import Segmenter

__all__ = ["Result", "Segmenter", "load_segmenter"]
