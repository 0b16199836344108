"""``uncertainty.nrrd``: how far the views of a place disagree, on the CT's grid."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from LungNoduleSegLib.segmenter.result import Result


def write_uncertainty(path: str | Path, result: Result) -> None:
    """Write ``result.uncertainty()`` as a float32 NRRD; NaN where fewer than two views looked.

    Raises
    ------
    InputError
        The run did not keep it.
    """
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(result.uncertainty().astype(np.float32))
    image.CopyInformation(result.ct.to_sitk())
    sitk.WriteImage(image, os.fspath(path), useCompression=True)
