"""Windows of one image set into another, with their labels: a nodule anywhere, in surroundings that are not its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

FEATHER_PX = 4
"""Width of a window's soft edge."""

_MARGIN_PX = (6.0, 30.0)  # around a nodule
_HALF_PX = (14.0, 44.0)  # half the side of a window without one
_EDGE_PX = 8  # a window's middle comes no nearer to the image's edge
_TRIES = 4


def mixed(
    images: Sequence[np.ndarray], labels: Sequence[np.ndarray], share: float, rng: np.random.Generator
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """A share of the images, each with a window of another one of the batch at a random place.

    Every positive of a published crop is near the crop's middle, or moved from there with reflected surroundings, and
    nearly every tile of a complete scan that has no nodule in its middle has none at all. A network learns that
    too: to call off what is off the middle, in complete scans. A window may come from either kind and go into either
    kind, with a nodule or without, so neither place nor seam nor kind says whether a nodule is there. After CutMix
    (Yun et al., ICCV 2019), with a soft edge, and with the nodule whole.

    Parameters
    ----------
    images
        float32 (slices, h, w), normalised, all of one shape.
    labels
        uint8 (h, w): 0, 1, or 255 for what the loss leaves out.
    share
        Of the images that take a window, 0..1; a batch of one image takes none.

    Returns
    -------
    New lists; an image that takes no window is the same array.
    """
    out_images, out_labels = list(images), list(labels)
    for number in range(len(images)):
        if len(images) < 2 or rng.random() >= share:
            continue
        other = int((number + rng.integers(1, len(images))) % len(images))
        weight, centre = _window(labels[other], rng)
        move = _place(weight, centre, images[other], images[number], rng)
        weight = _moved(weight, move)
        image = _moved(images[other], move)
        out_images[number] = images[number] + weight * (image - images[number])
        out_labels[number] = np.where(weight > 0.5, _moved(labels[other], move), labels[number])
    return out_images, out_labels


def _window(label: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Weight float32 (h, w), one inside the window, and the window's middle (row, column)."""
    size = np.array(label.shape)
    pieces, count = ndimage.label(label == 1)
    if count:
        box = ndimage.find_objects(pieces)[int(rng.integers(count))]
        low, high = np.array([(s.start, s.stop) for s in box]).T
        margin = rng.uniform(*_MARGIN_PX)
        centre = (low + high) / 2 + rng.uniform(-0.5, 0.5, size=2) * margin
        half = (high - low) / 2 + margin
    else:
        centre = size / 2 + rng.uniform(-0.15, 0.15, size=2) * size
        half = rng.uniform(*_HALF_PX, size=2)
    weight = np.ones(label.shape, dtype=np.float32)
    for axis in (0, 1):
        inside = half[axis] - np.abs(np.arange(size[axis]) + 0.5 - centre[axis])
        ramp = np.clip(inside / FEATHER_PX + 0.5, 0, 1).astype(np.float32)
        weight *= ramp[:, None] if axis == 0 else ramp
    return weight, centre


def _place(
    weight: np.ndarray, centre: np.ndarray, image: np.ndarray, into: np.ndarray, rng: np.random.Generator
) -> tuple[int, int]:
    """Rows and columns to move by: of a few random places the one as bright as what comes, lung for lung."""
    middle, size = len(image) // 2, np.array(weight.shape)
    level = float((weight * image[middle]).sum() / weight.sum())
    best, least = (0, 0), np.inf
    for target in rng.uniform(_EDGE_PX, size - _EDGE_PX, size=(_TRIES, 2)):
        rows, columns = (int(v) for v in np.round(target - centre))
        moved = _moved(weight, (rows, columns))
        difference = abs(float((moved * into[middle]).sum() / max(moved.sum(), 1)) - level)
        if difference < least:
            best, least = (rows, columns), difference
    return best


def _moved(array: np.ndarray, move: tuple[int, int]) -> np.ndarray:
    """Moved along the last two axes; what comes in is zero."""
    out = np.zeros_like(array)
    into, from_ = [], []
    for step, size in zip(move, array.shape[-2:]):
        step = min(max(step, -size), size)
        into.append(slice(max(step, 0), min(size, size + step)))
        from_.append(slice(max(-step, 0), min(size, size - step)))
    out[..., into[0], into[1]] = array[..., from_[0], from_[1]]
    return out
