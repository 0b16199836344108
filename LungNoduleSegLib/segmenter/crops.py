"""Crops of 128 x 128 pixels: checked, seen from several sides, averaged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.despike import without_spikes
from LungNoduleSegLib.inference.engine import Engine
from LungNoduleSegLib.inference.normalise import CLIP_HU, Normalisation
from LungNoduleSegLib.inference.views import View
from LungNoduleSegLib.inference.zoom import covered, zoomed

CROP_VIEWS = (
    View(0), View(0, True), View(2), View(2, True),
    View(1), View(1, True), View(3), View(3, True),
)  # fmt: skip
"""The eight ways to lay a square: both flips and both together, then the same on its side. Nothing is interpolated
and nothing leaves the crop."""


def prepared(crops: ArrayLike, px: int, slices: int) -> tuple[NDArray, bool]:
    """Crops as tiles (n, slices, px, px), and whether they are 8-bit values rather than HU.

    Raises
    ------
    InputError
        For another shape, or values that are not finite numbers.
    """
    crops = np.asarray(crops)
    fits = crops.ndim in (3, 4) and crops.shape[-2:] == (px, px) and (crops.ndim == 3 or crops.shape[1] == slices)
    if not fits:
        raise InputError(
            f"Expected argument `crops` to have shape (n, {px}, {px}) or (n, {slices}, {px}, {px}), got {crops.shape}"
        )
    if crops.dtype == bool or crops.dtype.kind not in "iuf":
        raise InputError(f"Expected argument `crops` to hold numbers, got dtype {crops.dtype}")
    if crops.dtype.kind == "f" and not np.all(np.isfinite(crops)):
        raise InputError("Expected argument `crops` to hold finite numbers, got NaN or infinity")
    grey = crops.dtype.itemsize == 1 or (crops.size > 0 and crops.min() >= 0 and crops.max() <= 255)
    if not grey:
        crops = np.clip(crops, *CLIP_HU)
    if crops.ndim == 3:
        crops = np.repeat(crops[:, None], slices, axis=1)
    return crops, bool(grey)


def predict_views(
    engine: Engine,
    tiles: NDArray,
    *,
    views: int,
    logit_offset: float,
    min_range: float | None,
    zooms: Sequence[float] = (1.0,),
) -> NDArray[np.float32]:
    """Mean probability over the first ``views`` of `CROP_VIEWS` at each magnification, its logit moved.

    Parameters
    ----------
    tiles
        (n, slices, h, w), HU or 8-bit values.
    views
        1 (the crop as it is) to 8.
    logit_offset
        Chosen on validation patients so that one half is the best threshold; 0 changes nothing.
    zooms
        Magnifications about the middle of the crop, 1 among them. Pixels that a magnified crop no longer shows are
        averaged over the others.

    Returns
    -------
    (n, h, w) float32, 0..1.
    """
    px = tiles.shape[-1]
    whole = tiles
    if any(zoom != 1 for zoom in zooms):
        whole = without_spikes(tiles, getattr(engine, "normalisation", Normalisation()), min_range=min_range)
    chosen = CROP_VIEWS[:views]
    total = np.zeros((len(tiles), *tiles.shape[2:]), np.float32)
    for zoom in zooms:
        seen = np.zeros_like(total)
        larger = tiles if zoom == 1 else zoomed(whole, zoom)
        for view in chosen:
            seen += view.undo(engine.predict(view.apply(larger), min_range=min_range))
        total += seen if zoom == 1 else zoomed(seen, 1 / zoom) * covered(px, zoom)
    total /= len(chosen) * sum(covered(px, zoom) for zoom in zooms)
    np.clip(total, 0, 1, out=total)
    return with_logit_offset(total, logit_offset)


def with_logit_offset(probability: NDArray[np.float32], offset: float) -> NDArray[np.float32]:
    """Probabilities float32 whose logit is moved by ``offset``; 0 and 1 stay what they are."""
    if not offset:
        return probability
    # p' = p f / (1 - p + p f) is the logistic of logit(p) + offset, without the infinities at 0 and 1.
    factor = np.float32(np.exp(offset))
    return probability * factor / (1 - probability + probability * factor)
