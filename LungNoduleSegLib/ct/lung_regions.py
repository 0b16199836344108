"""Where the lungs are: a generous mask for the search, and the two lungs for the side of a nodule.

Classical threshold-and-morphology segmentation (Hu, Hoffman, Reinhardt, IEEE TMI 20 (2001) 490-498, in outline) on a
grid of about 3 mm. Averaging voxels into that grid is what makes it work on sharp kernels, where single voxels of
lung and of soft tissue overlap, and what makes it fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import scipy
from numpy.typing import NDArray

from LungNoduleSegLib.ct.lung_sides import LEFT, RIGHT, middle_of_body, split_sides
from LungNoduleSegLib.ct.volume import CT
from LungNoduleSegLib.errors import InputError

GRID_MM = 3.0
"""Wanted spacing of the coarse grid."""

AIR_BELOW_HU = -400
"""Half way between lung (-850) and soft tissue (50)."""

GAS_BELOW_HU = -965
"""What is this thin is gas without lung around it: bowel, stomach, the air around the patient (-970 to -1000 inside the
body). Lung is denser by its blood, all but the worst of an emphysema."""

GAS_FRACTION = 0.25
"""Share of gas from which on a region is no lung."""

GAS_FRACTION_OF_LARGE = 0.5
"""The same for a region above LARGE_ML: rather search some bowel than leave out an emphysematous lung."""

LARGE_ML = 500.0

SMALLEST_PART_ML = 10.0
"""A separate piece of lung, such as a recess behind the diaphragm, counts from this volume on."""

SMALLEST_LUNG_ML = 100.0
SMALLEST_LUNG_FRACTION = 0.25
"""Less lung than both in the whole CT is no chest: nasal cavity and mastoid cells of a head stay below. The share
admits a small box cut out around a nodule."""

CLOSING_MM = 20.0
"""Radius of the closing: the bay that a 30 mm nodule on the pleura leaves is filled to within 7 mm of its mouth, and
the margin covers the rest."""

DILATION_MM = 10.0
"""Margin around the closed lungs; what sits on the pleura is inside."""

CUT_BODY_FRACTION = 0.3
"""Share of a side of the volume that is not gas from which on the CT counts as cropped inside the body there, so that
lung, too, may touch that side. A complete field of view has at most a table and arms there."""


@dataclass(frozen=True, eq=False)
class CoarseLungs:
    """Lungs on the coarse grid of a CT.

    ``sides`` is uint8 [k, j, i]: 0 background, 1 right, 2 left lung, closed; ``mask`` is bool [k, j, i], dilated.
    ``steps`` says how many voxels of the CT along (k, j, i) make a coarse one.
    """

    sides: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    steps: tuple[int, ...]


# Mask and sides are asked for one after the other; the coarse arrays are small, and die with their CT.
_found: WeakKeyDictionary[CT, CoarseLungs] = WeakKeyDictionary()


def lung_mask(ct: CT) -> NDArray[np.bool_]:
    """Where to look for nodules: the lungs, closed over nodules on the pleura, and 10 mm around them.

    Returns
    -------
    bool [k, j, i] on the grid of ``ct``.

    Raises
    ------
    InputError
        No lung in it.
    """
    found = find_lungs(ct)
    return _expanded(found.mask, found.steps, ct.shape)


def lungs(ct: CT) -> NDArray[np.uint8]:
    """The two lungs, closed over vessels and nodules, not dilated, with the airways inside and next to them.

    Returns
    -------
    uint8 [k, j, i] on the grid of ``ct``: 0 background, 1 right, 2 left lung of the patient.

    Raises
    ------
    InputError
        No lung in it.
    """
    found = find_lungs(ct)
    return _expanded(found.sides, found.steps, ct.shape)


def find_lungs(ct: CT) -> CoarseLungs:
    """Find the lungs on the coarse grid; the last result for a CT is kept as long as the CT lives.

    Raises
    ------
    InputError
        No lung in it.
    """
    if ct not in _found:
        _found[ct] = _find(ct)
    return _found[ct]


def _find(ct: CT) -> CoarseLungs:
    steps = tuple(max(1, min(round(GRID_MM / mm), n)) for mm, n in zip(ct.spacing_mm, ct.shape, strict=True))
    # From here on axes run along z, y, x of the patient: the air around the body is found in axial planes.
    x, y, z = ct.anatomical_axes
    order, back = (z, y, x), np.argsort((z, y, x))
    mean = block_means(ct.hu, steps).transpose(order)
    x_mm = _coarse_x(ct, steps, tuple(mean.shape[axis] for axis in back)).transpose(order)
    spacing = tuple(ct.spacing_mm[axis] * steps[axis] for axis in order)
    parenchyma = _lung_parts(mean, float(np.prod(spacing)))
    if parenchyma is None:
        raise InputError(
            "no lung found in this CT",
            path=None if not ct.source else ct.source[0] if len(ct.source) == 1 else ct.source[0].parent,
            remedy="Give a CT of the chest in HU, or a lung mask of your own.",
        )
    # All further work happens in the box of the lungs with room for closing and dilation.
    box = _grown_box(parenchyma, spacing, CLOSING_MM + DILATION_MM)
    planes = box[0]
    middle_mm = middle_of_body(mean[planes] > GAS_BELOW_HU, x_mm[planes])
    sides = split_sides(parenchyma[box], x_mm[box], spacing, middle_mm)
    near = np.zeros(sides.shape, bool)
    closed_sides = np.zeros_like(sides)
    for side in (RIGHT, LEFT):
        part = sides == side
        if part.any():
            part_near, closed = _closed(part, spacing)
            near |= part_near
            closed_sides[closed & (closed_sides == 0) & ((sides == 0) | part)] = side
    near |= closed_sides > 0
    # Eroding the lungs grown by 20 mm by only 10 mm is closing and dilation by 10 mm in one.
    mask = _deeper(near, spacing, CLOSING_MM - DILATION_MM) | (closed_sides > 0)
    return CoarseLungs(
        _placed(closed_sides, box, mean.shape).transpose(back), _placed(mask, box, mean.shape).transpose(back), steps
    )


def _grown_box(mask: NDArray[np.bool_], spacing: tuple[float, ...], margin_mm: float) -> tuple[slice, ...]:
    box = scipy.ndimage.find_objects(mask.astype(np.uint8))[0]
    grown = []
    for extent, mm, n in zip(box, spacing, mask.shape, strict=True):
        margin = int(margin_mm / mm) + 2
        grown.append(slice(max(0, extent.start - margin), min(n, extent.stop + margin)))
    return tuple(grown)


def _placed(part: NDArray[Any], box: tuple[slice, ...], shape: tuple[int, ...]) -> NDArray[Any]:
    whole = np.zeros(shape, part.dtype)
    whole[box] = part
    return whole


def block_means(hu: NDArray[np.int16], steps: tuple[int, ...]) -> NDArray[np.float32]:
    """Means over blocks of ``steps`` voxels, float32; incomplete blocks at the end repeat their last voxel."""
    shape = tuple(-(-n // step) for n, step in zip(hu.shape, steps, strict=True))
    out = np.empty(shape, np.float32)
    kk, jj, ii = steps
    pad = (shape[1] * jj - hu.shape[1], shape[2] * ii - hu.shape[2])
    for k in range(shape[0]):
        slab = hu[k * kk : (k + 1) * kk]
        plane = slab.sum(axis=0, dtype=np.int32) if len(slab) > 1 else slab[0]
        if any(pad):
            plane = np.pad(plane, ((0, pad[0]), (0, pad[1])), mode="edge")
        # Summing strided views is several times faster than a reduction over two short axes.
        rows = sum((plane[j::jj] for j in range(1, jj)), plane[0::jj].astype(np.int32))
        total = sum((rows[:, i::ii] for i in range(1, ii)), rows[:, 0::ii])
        np.multiply(total, 1.0 / (len(slab) * jj * ii), out=out[k], casting="unsafe")
    return out


def _inner_air(mean: NDArray[np.float32]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Air that is not around the patient, [z, y, x]; and, of it, what touches a side where the body is cut."""
    air = mean < AIR_BELOW_HU
    # In each axial plane on its own: in a CT with the head, mouth and airway join the lungs to the air outside.
    labels, count = scipy.ndimage.label(air, _in_plane())
    size = np.maximum(np.bincount(labels.ravel(), minlength=count + 1), 1)
    gas = np.bincount(labels[mean < GAS_BELOW_HU], minlength=count + 1) / size
    outside = np.zeros(count + 1, bool)
    at_cut = np.zeros(count + 1, bool)
    for side in _IN_PLANE_SIDES:
        touching = np.unique(labels[side])
        if np.mean(mean[side] > GAS_BELOW_HU) > CUT_BODY_FRACTION:
            outside[touching[gas[touching] >= GAS_FRACTION]] = True
            at_cut[touching] = True
        else:
            outside[touching] = True
    at_cut[0] = False
    return air & ~outside[labels], (at_cut & ~outside)[labels]


_IN_PLANE_SIDES = (np.s_[:, 0], np.s_[:, -1], np.s_[:, :, 0], np.s_[:, :, -1])


def _lung_parts(mean: NDArray[np.float32], voxel_mm3: float) -> NDArray[np.bool_] | None:
    """The connected regions of air that are lung, not gas in the bowel; None where they are too small for a chest.

    All [z, y, x].
    """
    air, at_cut = _inner_air(mean)
    labels, count = scipy.ndimage.label(air)
    volume_ml = np.bincount(labels.ravel(), minlength=count + 1) * voxel_mm3 / 1000
    volume_ml[0] = 0
    # Voxels at the rim are half tissue and would make gas look like lung.
    core = scipy.ndimage.binary_erosion(air)
    boxes = scipy.ndimage.find_objects(labels)
    lung = np.zeros(count + 1, bool)
    main = None  # 5th, 25th and 50th percentile of the largest region of lung
    for label in np.argsort(-volume_ml):
        if volume_ml[label] < SMALLEST_PART_ML:
            break
        box = boxes[label - 1]
        part = labels[box] == label
        inner = part & core[box]
        hu = mean[box][inner if inner.any() else part]
        is_cut = bool(np.any(at_cut[box] & part))
        large = volume_ml[label] >= LARGE_ML and not is_cut
        if np.count_nonzero(hu < GAS_BELOW_HU) >= (GAS_FRACTION_OF_LARGE if large else GAS_FRACTION) * hu.size:
            continue
        spread = np.percentile(hu, (5, 25, 50))
        main = spread if main is None else main
        # Gas on a scanner that shows gas too dense; the foam of the table and the air in clothes below the body.
        if (not large and spread[1] < main[0]) or (is_cut and spread[2] < main[1]):
            continue
        lung[label] = True
    if volume_ml[lung].sum() < min(SMALLEST_LUNG_ML, SMALLEST_LUNG_FRACTION * mean.size * voxel_mm3 / 1000):
        return None
    return lung[labels]


def _closed(part: NDArray[np.bool_], spacing: tuple[float, ...]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """What lies within CLOSING_MM of ``part``; and its closing by a ball, with the holes of each axial plane filled."""
    near = scipy.ndimage.distance_transform_edt(~part, sampling=spacing) <= CLOSING_MM
    box = _grown_box(near, spacing, 0)
    closed = part.copy()
    closed[box] |= _deeper(near[box], spacing, CLOSING_MM)
    closed[box] = scipy.ndimage.binary_fill_holes(closed[box], _in_plane())
    return near, closed


def _deeper(mask: NDArray[np.bool_], spacing: tuple[float, ...], depth_mm: float) -> NDArray[np.bool_]:
    """Erosion by a ball; the end of the volume does not erode."""
    return mask.copy() if mask.all() else scipy.ndimage.distance_transform_edt(mask, sampling=spacing) > depth_mm


def _in_plane() -> NDArray[np.bool_]:
    """Neighbours in the plane of axes 1 and 2, none along axis 0."""
    plane = scipy.ndimage.generate_binary_structure(3, 1)
    plane[0] = plane[2] = False
    return plane


def _coarse_x(ct: CT, steps: tuple[int, ...], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """RAS x (mm, to the patient's right) of each coarse voxel."""
    k, j, i = (np.arange(n, dtype=np.float32) * step + (step - 1) / 2 for n, step in zip(shape, steps, strict=True))
    a = ct.ijk_to_ras[0].astype(np.float32)
    return a[2] * k[:, None, None] + a[1] * j[:, None] + a[0] * i + a[3]


def _expanded(coarse: NDArray, steps: tuple[int, ...], shape: tuple[int, ...]) -> NDArray:
    for axis, (step, n) in enumerate(zip(steps, shape, strict=True)):
        coarse = np.take(coarse, np.arange(n) // step, axis=axis)
    return coarse
