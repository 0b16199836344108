"""Across slices: where a structure ends, and slices in its middle that were missed.

Slices are thick: the one beyond a nodule's end still shows a faint disc of it, by partial volume, and a network of
slices outlines that too. Readers do not.
"""

from __future__ import annotations

from itertools import pairwise, takewhile

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from LungNoduleSegLib.ct.volume import CT
from LungNoduleSegLib.inference.grow import Grown
from LungNoduleSegLib.inference.regions import filled, tight
from LungNoduleSegLib.inference.slab import inside

END_SHARE = 0.45
"""A slice at an end that stands out by less than this share of the structure's contrast is left out."""

EDGE_SHARE = 0.35
"""So is, on the slice that is the last then, a pixel that stands out by less than this."""

FAINT_MM = 3.0
"""Of faint slices at an end no more is left out than this, or than one slice: where more of them are faint it is no
partial volume, but a part of the nodule that is fainter, as the ground glass around a solid part."""

SOFT_TISSUE_HU = 100.0
"""What is brighter is calcified, and does not count more: contrast would be measured from the calcification alone."""

LEAST_PIECE = 0.25
"""Pieces of the last slice that are smaller than this part of its largest one go with its faint pixels."""

RING_MM = (1.5, 4.5)
"""Distance of what surrounds a structure: its lower quartile is the level that contrast is measured from."""

LEAST_CONTRAST_HU = 100.0
"""A structure that stands out by less has its ends where the network sees them."""


def settled(ct: CT, grown: Grown, keep_kji: tuple[int, int, int] | None = None) -> Grown:
    """A grown structure with its missed slices filled in and its faint ends left out.

    Parameters
    ----------
    ct
        With axial slices.
    keep_kji
        A voxel of the structure, [k, j, i] in the CT, that must stay in it: if it would be left out, its slice and all
        between it and the largest slice stay as they are.

    Returns
    -------
    On the same slab, with another mask.
    """
    mask = bridged(grown.mask)
    box = tight(mask)
    assert box is not None
    margin = [0, *(int(np.ceil(RING_MM[1] / s)) + 1 for s in ct.spacing_mm[1:])]
    room = tuple(slice(max(s.start - m, 0), s.stop + m) for s, m in zip(box, margin))
    offset = tuple(o + s.start for o, s in zip(grown.slab.offset_kji, room))
    (k, j, i), near = inside(ct.shape, offset, mask[room])  # type: ignore[arg-type]
    if near.any():
        hu = ct.hu[k : k + near.shape[0], j : j + near.shape[1], i : i + near.shape[2]]
        shorter = ended(near, hu, ct.spacing_mm)
        if keep_kji is not None:
            kept = tuple(v - o for v, o in zip(keep_kji, (k, j, i)))
            held = all(0 <= v < n for v, n in zip(kept, near.shape)) and near[kept]
            if held and not shorter[kept]:
                shorter = ended(near, hu, ct.spacing_mm, keep=kept[0])
        start = tuple(a - o for a, o in zip((k, j, i), grown.slab.offset_kji))
        mask[tuple(slice(a, a + n) for a, n in zip(start, near.shape))] = shorter
    return Grown(grown.slab, mask, grown.threshold)


def bridged(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask with slices filled in that lie between others and have nothing.

    Each is interpolated between the nearest slices with something by their signed distances in pixels (shape-based
    interpolation; Raya and Udupa, IEEE TMI 1990), which leaves nothing where those two have no place in common.

    Parameters
    ----------
    mask
        bool [k, j, i]; not changed.
    """
    mask = mask.copy()
    occupied = np.flatnonzero(mask.any(axis=(1, 2)))
    for below, above in pairwise(occupied):
        if above - below == 1:
            continue
        one, other = _signed_distance(mask[below]), _signed_distance(mask[above])
        for k in range(below + 1, above):
            share = (k - below) / (above - below)
            mask[k] = (1 - share) * one + share * other > 0
    return mask


def _signed_distance(plane: NDArray[np.bool_]) -> NDArray[np.float64]:
    # Its border of one keeps a plane that is full from having no distance at all.
    inner = ndimage.distance_transform_edt(np.pad(plane, 1))[1:-1, 1:-1]
    return inner - ndimage.distance_transform_edt(~plane)


def ended(
    mask: NDArray[np.bool_], hu: NDArray, spacing_mm: tuple[float, float, float], keep: int | None = None
) -> NDArray[np.bool_]:
    """The mask without slices at its ends, and pixels of its last slices, that hardly stand out.

    The contrast is the upper quartile inside, soft tissue at most, above the lower quartile of what surrounds the
    largest slice. From each end, slices whose own upper quartile reaches less than ``END_SHARE`` of it are left out, if
    they are few (``FAINT_MM``); of the slice that is the last then, pixels that reach less than ``EDGE_SHARE``. The
    largest slice always stays.

    Parameters
    ----------
    mask
        bool [k, j, i]; not changed.
    hu
        HU on the same grid, with ``RING_MM`` of room around the mask where there is any.
    spacing_mm
        (k, j, i).
    keep
        Index of a slice that stays as it is, with those from there to the largest one.
    """
    out = mask.copy()
    areas = mask.sum(axis=(1, 2))
    largest = int(areas.argmax())
    surround = _surround(mask[largest], hu[largest], spacing_mm[1:])
    if surround is None:
        return out
    contrast = min(float(np.percentile(hu[mask], 75)), SOFT_TISSUE_HU) - surround
    if contrast < LEAST_CONTRAST_HU:
        return out
    fixed = {largest} if keep is None else set(range(min(keep, largest), max(keep, largest) + 1))
    occupied = np.flatnonzero(areas)
    most = max(1, int(FAINT_MM / spacing_mm[0] + 1e-3))
    for end in (occupied.tolist(), occupied[::-1].tolist()):
        inner = list(takewhile(lambda k: k not in fixed, end))
        clear = [n for n, k in enumerate(inner) if np.percentile(hu[k][mask[k]], 75) - surround >= END_SHARE * contrast]
        faint = clear[0] if clear else len(inner)
        if faint > most:
            continue
        out[inner[:faint]] = False
        if faint < len(inner):
            last = inner[faint]
            out[last] = _without_crumbs(filled((out[last] & (hu[last] - surround >= EDGE_SHARE * contrast))[None])[0])
    return out


def _surround(plane: NDArray[np.bool_], hu: NDArray, spacing_mm: tuple[float, float]) -> float | None:
    """HU around a structure on one slice: the lower quartile; None where it fills all."""
    distance = ndimage.distance_transform_edt(~plane, sampling=spacing_mm)
    ring = (distance > RING_MM[0]) & (distance <= RING_MM[1])
    return float(np.percentile(hu[ring], 25)) if ring.any() else None


def _without_crumbs(plane: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels, _ = ndimage.label(plane, np.ones((3, 3), bool))
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return (sizes >= LEAST_PIECE * sizes.max())[labels] & plane
