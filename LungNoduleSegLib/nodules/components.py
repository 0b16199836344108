"""From a probability volume to connected components, on bounding boxes instead of on the whole volume."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from LungNoduleSegLib.nodules.nodule import Index, equivalent_diameter_mm

CONNECTIVITY_26 = np.ones((3, 3, 3), dtype=bool)
"""Voxels that share a face, an edge or a corner belong together."""

BLOCK = (8, 16, 16)
"""Voxels [k, j, i] of the coarse blocks in which empty space is skipped."""


@dataclass(frozen=True, eq=False)
class Component:
    """One connected component on its bounding box.

    Parameters
    ----------
    offset_kji
        First voxel of the box in the volume.
    mask
        bool [k, j, i] on the box; tight: every face of the box touches the component.
    peak
        Largest probability inside.
    """

    offset_kji: Index
    mask: NDArray[np.bool_]
    peak: float

    @property
    def voxels(self) -> int:
        return int(np.count_nonzero(self.mask))

    @property
    def bounds_kji(self) -> tuple[Index, Index]:
        """Half-open box ((k0, j0, i0), (k1, j1, i1)) in voxels of the volume."""
        k, j, i = (o + n for o, n in zip(self.offset_kji, self.mask.shape, strict=True))
        return self.offset_kji, (k, j, i)

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """The box as an index into the volume."""
        (k0, j0, i0), (k1, j1, i1) = self.bounds_kji
        return slice(k0, k1), slice(j0, j1), slice(i0, i1)


def hysteresis_components(
    probability: NDArray[np.floating],
    low: float,
    high: float,
    *,
    spacing_mm: ArrayLike | None = None,
    min_diameter_mm: float = 0.0,
    min_slices: int = 1,
    fill: bool = True,
) -> list[Component]:
    """26-connected components above ``low`` that reach ``high`` somewhere (Canny's hysteresis, TPAMI 8:679, 1986).

    A cavity counts to its nodule: holes are filled before the components are told apart, so that what lies inside a
    cavity joins the wall around it. The volume is scanned once; the rest runs on the boxes around what is above
    ``low``, so a whole CT costs little more than reading its probabilities.

    Parameters
    ----------
    probability
        [k, j, i], any floating type; not changed.
    low, high
        Thresholds, low <= high; a voxel counts at probability >= threshold.
    spacing_mm
        (k, j, i) in mm; needed for ``min_diameter_mm``.
    min_diameter_mm
        Components of a smaller equivalent diameter (holes filled) are left out.
    min_slices
        Components on fewer slices (along k) are left out.
    fill
        Whether holes are filled, see :func:`fill_cavities`.

    Returns
    -------
    list of Component, ordered by their first voxel box (k, j, i).
    """
    probability = np.asarray(probability)
    if probability.ndim != 3:
        raise ValueError(f"Expected argument `probability` to have three axes [k, j, i], got {probability.shape}")
    if not low <= high:
        raise ValueError(f"Expected argument `low` to be at most `high` ({high}), got {low}")
    if min_diameter_mm > 0 and spacing_mm is None:
        raise ValueError("Expected argument `spacing_mm` to be given together with `min_diameter_mm`, got None")
    voxel_mm3 = 1.0 if spacing_mm is None else float(np.prod(np.asarray(spacing_mm, dtype=np.float64)))
    found = []
    for box, block_mask in _occupied_boxes(probability, low):
        values = probability[box]
        mask = (values >= low) & block_mask
        for component in _split(mask, values, high, box, fill=fill):
            if component.mask.shape[0] < min_slices:
                continue
            if min_diameter_mm > 0 and equivalent_diameter_mm(component.voxels * voxel_mm3) < min_diameter_mm:
                continue
            found.append(component)
    return sorted(_merged(found) if fill else found, key=lambda component: component.offset_kji)


def components(mask: NDArray[np.bool_], *, fill: bool = False) -> list[Component]:
    """26-connected components of a bool mask [k, j, i], ordered by their box; ``peak`` is 1."""
    mask = np.asarray(mask, dtype=bool)
    if mask.ndim != 3:
        raise ValueError(f"Expected argument `mask` to have three axes [k, j, i], got {mask.shape}")
    found = []
    for box, block_mask in _occupied_boxes(mask, True):
        inside = mask[box] & block_mask
        found += _split(inside, inside, True, box, fill=fill)
    return sorted(_merged(found) if fill else found, key=lambda component: component.offset_kji)


def fill_cavities(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fill what the mask encloses, in the volume and on each slice along k.

    On thick slices the wall of a cavity is often missing in the slices at its ends, so that it is closed in plane only;
    readers outline the whole. Background is followed across faces (edges in plane), the complement of the mask's
    connectivity across corners.

    Parameters
    ----------
    mask
        bool [k, j, i]; not changed.
    """
    filled = np.array(mask, dtype=bool)
    candidates = [k for k in range(filled.shape[0]) if _may_enclose(filled[k])]
    if candidates:
        filled = scipy.ndimage.binary_fill_holes(filled)
        for k in candidates:
            filled[k] = scipy.ndimage.binary_fill_holes(filled[k])
    return filled


def tight_box(mask: NDArray[np.bool_]) -> tuple[slice, slice, slice] | None:
    """Bounding box of a bool mask [k, j, i] as slices, None if it is empty."""
    slices = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        hit = np.flatnonzero(mask.any(axis=others))
        if hit.size == 0:
            return None
        slices.append(slice(int(hit[0]), int(hit[-1]) + 1))
    return slices[0], slices[1], slices[2]


def crop(mask: NDArray[np.bool_], offset_kji: ArrayLike = (0, 0, 0)) -> tuple[NDArray[np.bool_], Index]:
    """The mask on its bounding box, and the box's first voxel; raises ValueError if the mask is empty."""
    box = tight_box(mask)
    if box is None:
        raise ValueError("Expected argument `mask` to hold at least one voxel, got an empty mask")
    k, j, i = (int(o) + s.start for o, s in zip(np.asarray(offset_kji).tolist(), box, strict=True))
    return mask[box], (k, j, i)


def _may_enclose(plane: NDArray[np.bool_]) -> bool:
    # An enclosed pixel, of the slice or of the volume, has mask on both sides in its row; far cheaper than filling.
    rows = np.count_nonzero(np.diff(plane.astype(np.int8), axis=1) == 1, axis=1) + plane[:, 0]
    return bool((rows > 1).any())


def _split(
    mask: NDArray[np.bool_], values: NDArray, high: float | bool, box: tuple[slice, ...], *, fill: bool
) -> list[Component]:
    if fill:
        mask = fill_cavities(mask)
    labels, _ = scipy.ndimage.label(mask, structure=CONNECTIVITY_26)
    found = []
    for label, where in enumerate(scipy.ndimage.find_objects(labels), start=1):
        inside = labels[where] == label
        peak = values[where][inside].max()
        if peak < high:
            continue
        k, j, i = (outer.start + inner.start for outer, inner in zip(box, where, strict=True))
        found.append(Component((k, j, i), inside, float(peak)))
    return found


def _merged(found: list[Component]) -> list[Component]:
    # In a cavity wider than a block lies a group of its own, which filling gave to the wall around it as well.
    low = np.array([component.offset_kji for component in found]).reshape(-1, 3)
    high = low + np.array([component.mask.shape for component in found]).reshape(-1, 3)
    merged: dict[int, Component] = dict(enumerate(found))
    home = list(range(len(found)))
    for a in range(len(found)):
        boxes_meet = ((low[a] < high[a + 1 :]) & (low[a + 1 :] < high[a])).all(axis=1)
        for b in (np.flatnonzero(boxes_meet) + a + 1).tolist():
            if home[a] != home[b] and _overlap(found[a], found[b]):
                kept, gone = home[a], home[b]
                merged[kept] = _union(merged[kept], merged.pop(gone))
                home = [kept if h == gone else h for h in home]
    return list(merged.values())


def _overlap(a: Component, b: Component) -> bool:
    box = [(max(s.start, t.start), min(s.stop, t.stop)) for s, t in zip(a.slices, b.slices, strict=True)]
    inside_a, inside_b = (
        c.mask[tuple(slice(s - o, e - o) for (s, e), o in zip(box, c.offset_kji, strict=True))] for c in (a, b)
    )
    return bool((inside_a & inside_b).any())


def _union(a: Component, b: Component) -> Component:
    (a0, a1), (b0, b1) = a.bounds_kji, b.bounds_kji
    first = np.minimum(a0, b0)
    mask = np.zeros(np.maximum(a1, b1) - first, dtype=bool)
    for c in (a, b):
        mask[tuple(slice(s.start - o, s.stop - o) for s, o in zip(c.slices, first.tolist(), strict=True))] |= c.mask
    k, j, i = first.tolist()
    return Component((k, j, i), mask, max(a.peak, b.peak))


def _occupied_boxes(values: NDArray, low: float | bool) -> Iterator[tuple[tuple[slice, ...], NDArray[np.bool_]]]:
    """Boxes around groups of touching blocks that hold a value >= low, each with the group's own voxels.

    Voxels that touch lie in the same block or in touching ones, so no component is cut; the group's mask keeps a
    neighbouring group that reaches into the same box out.
    """
    shape = np.array(values.shape)
    occupied = np.zeros(-(-shape // BLOCK), dtype=bool)
    for k in range(values.shape[0]):  # slice by slice: a whole volume of indices could be larger than the volume
        j, i = np.divmod(np.flatnonzero(values[k] >= low), values.shape[2])
        occupied[k // BLOCK[0], j // BLOCK[1], i // BLOCK[2]] = True
    groups, _ = scipy.ndimage.label(occupied, structure=CONNECTIVITY_26)
    for label, where in enumerate(scipy.ndimage.find_objects(groups), start=1):
        box = tuple(slice(s.start * b, min(s.stop * b, int(n))) for s, b, n in zip(where, BLOCK, shape, strict=True))
        block_mask = groups[where] == label
        for axis, size in enumerate(BLOCK):
            block_mask = block_mask.repeat(size, axis=axis)
        yield box, block_mask[tuple(slice(0, s.stop - s.start) for s in box)]
