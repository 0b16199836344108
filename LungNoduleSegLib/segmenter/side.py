"""Left or right lung of a nodule, asked on the coarse grid that the lungs were found on."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from LungNoduleSegLib.ct.lung_regions import find_lungs
from LungNoduleSegLib.ct.volume import CT
from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.nodules.side import SideFinder

# A click must not look through the lungs of the same CT again.
_finders: WeakKeyDictionary[CT, tuple[SideFinder, NDArray]] = WeakKeyDictionary()


def side_of(ct: CT, mask: NDArray[np.bool_], offset_kji: tuple[int, int, int]) -> str:
    """"left" or "right"; "" where the CT does not tell.

    Parameters
    ----------
    mask
        bool [k, j, i] crop of the nodule, not empty.
    offset_kji
        Its first voxel in the CT.
    """
    if ct not in _finders:
        try:
            found = find_lungs(ct)
        except InputError:
            _finders[ct] = SideFinder(None, ct.ijk_to_ras), np.ones(3, int)
        else:
            steps = np.asarray(found.steps)
            affine = np.array(ct.ijk_to_ras)
            # The first coarse voxel's centre lies in the middle of its block of voxels.
            affine[:3, 3] = ct.kji_to_ras((steps - 1) / 2)
            affine[:3, :3] *= steps[::-1]
            _finders[ct] = SideFinder(found.sides, affine), steps
    finder, steps = _finders[ct]
    coarse = np.unique((np.argwhere(mask) + offset_kji) // steps, axis=0)
    low = coarse.min(axis=0)
    block = np.zeros(coarse.max(axis=0) - low + 1, bool)
    block[tuple((coarse - low).T)] = True
    return finder(block, low)
