"""A candidate described by its features: one that was outlined, or a component that is not outlined yet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from LungNoduleSegLib.ct.volume import CT
from LungNoduleSegLib.inference.components import Component
from LungNoduleSegLib.inference.features import hu_features, lung_features, shape_features, view_features
from LungNoduleSegLib.inference.grow import Grown
from LungNoduleSegLib.inference.regions import tight
from LungNoduleSegLib.inference.slab import inside


def candidate_features(ct: CT, component: Component | None, grown: Grown) -> dict[str, float]:
    """All of :data:`~LungNoduleSegLib.inference.features.FEATURES` of a segmented candidate.

    Parameters
    ----------
    component
        What the search's passes saw of it; without it the peak and mean are those of the crops.
    """
    inner = grown.slab.mean[grown.mask]
    return {
        "peak": component.peak if component else float(inner.max()),
        "coarse_mean": component.mean if component else float(inner.mean()),
        **view_features(grown.slab.by_view, grown.mask),
        **_mask_features(ct, *placed_mask(ct, grown)),
    }


def component_features(
    ct: CT, component: Component, view_means: Sequence[float], threshold: float
) -> dict[str, float]:
    """The same features of a component that nothing was grown from yet.

    Parameters
    ----------
    view_means
        Mean probability inside on its best slice, of each view, 0..1.
    threshold
        Probability that it is cut at, no higher than its peak.
    """
    cut_out = component.above(threshold)
    low = cut_out.voxels.min(axis=0).tolist()
    by_view = np.asarray(view_means, dtype=np.float32).reshape(-1, 1, 1, 1)
    return {
        "peak": component.peak,
        "coarse_mean": component.mean,
        **view_features(by_view, np.ones((1, 1, 1), bool)),
        **_mask_features(ct, (low[0], low[1], low[2]), cut_out.mask),
    }


def _mask_features(ct: CT, offset: tuple[int, int, int], mask: NDArray[np.bool_]) -> dict[str, float]:
    return {
        **shape_features(mask, ct.spacing_mm),
        **hu_features(ct.hu, offset, mask, ct.spacing_mm),
        **lung_features(ct, offset, mask),
    }


def placed_mask(ct: CT, grown: Grown) -> tuple[tuple[int, int, int], NDArray[np.bool_]]:
    """The mask on its bounding box, and the box's first voxel in the CT."""
    offset, mask = inside(ct.shape, grown.slab.offset_kji, grown.mask)
    box = tight(mask)
    assert box is not None
    return tuple(o + s.start for o, s in zip(offset, box)), np.ascontiguousarray(mask[box])  # type: ignore[return-value]
