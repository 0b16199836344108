"""How batches are made: shares, moves and changes of appearance."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SamplingConfig:
    """How a batch is made.

    Parameters
    ----------
    tile_px
        Window given to the network.
    batch_size, scan_share
        Images in a batch, and the share of them that are tiles of complete scans.
    scan_positive_share
        Of the tiles of scans, the share that holds an annotated nodule somewhere.
    hard_share
        Of the nodule-free tiles, the share taken from mined false positives once there are any.
    shift_px
        Largest shift of a crop, in pixels; what leaves the crop is reflected.
    near_share, near_shift_px
        Share of the crops that are shifted by no more than so many pixels: clicks, candidates and published crops show
        the nodule near the middle, and a network that has rarely seen it there misses more of them.
    scale, turn_degrees
        Range of magnification and of free rotation (beside flips and quarter turns).
    gain, offset, noise
        Changes of the normalised intensities.
    lone_slice_share
        Share of images whose neighbouring slices are replaced by the middle one, as `predict_crops` does with a single
        slice.
    cavity_share, sharpness_share
        Share of the crops whose nodule is hollowed out, where it is large enough, and of the images that are made
        softer or sharper.
    shell_share
        Share of the tiles of scans into which a thin-walled cavity is drawn.
    mix_share
        Share of the images that take a window of another one of the batch, with its nodule if it has one.
    ends_share
        Of the tiles of scans that would hold a nodule, the share moved to a slice just beyond one of its ends: crops
        have no such slices, and a network of crops does not learn where to stop.
    thick_share
        Share of the tiles of scans whose slices are averaged to about 5 mm.
    scan_least_scale
        Least magnification of tiles of scans, below that of the crops for the larger pixels at which scans are searched
        too; None: as the crops.
    """

    tile_px: int = 128
    batch_size: int = 16
    scan_share: float = 0.4
    scan_positive_share: float = 0.3
    hard_share: float = 0.5
    shift_px: int = 32
    near_share: float = 0.6
    near_shift_px: int = 8
    scale: tuple[float, float] = (0.8, 1.25)
    turn_degrees: float = 20.0
    gain: float = 0.1
    offset: float = 0.05
    noise: float = 0.03
    lone_slice_share: float = 0.1
    cavity_share: float = 0.0
    sharpness_share: float = 0.0
    shell_share: float = 0.0
    mix_share: float = 0.0
    ends_share: float = 0.0
    thick_share: float = 0.0
    scan_least_scale: float | None = None
