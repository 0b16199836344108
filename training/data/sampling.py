"""Batches: crops and tiles of scans, moved, turned, scaled and normalised; reproducible from (seed, step)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch.nn import functional as F

from LungNoduleSegLib.inference.normalise import Normalisation, normalise
from training.data.appearance import resharpened
from training.data.cavities import hollowed, with_shell
from training.data.crops import IGNORE, Crops
from training.data.mixing import mixed
from training.data.scans import TrainingScan, tile_start

EIGHT_BIT_MIN_RANGE = 1.0

LUNG_HU = (-950, -650)
"""Lung that holds air, and not the air of the large airways: cavities are drawn there."""


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


@dataclass(eq=False)
class Sampler:
    """Makes batch number ``step`` of a run, the same whenever it is asked for."""

    crops: Crops
    scans: list[TrainingScan]
    config: SamplingConfig
    normalisation: Normalisation
    slices: int
    seed: int
    hard: list[np.ndarray] = field(default_factory=list)
    """One (m, 3) array of voxels [k, j, i] a scan: centres of mined false positives."""

    def __post_init__(self) -> None:
        train = self.crops.on_side("train")
        # A consensus of 1 to 8 pixels is neither positive nor negative.
        self._positives = train[self.crops.positive[train]]
        self._empty = train[self.crops.consensus_px[train] == 0]
        self._nodules = [scan.positive_index for scan in self.scans]

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Images float32 (n, slices, px, px), normalised, and labels uint8 (n, px, px) with 255 left out."""
        rng = np.random.default_rng([self.seed, step])
        config = self.config
        from_scans = round(config.batch_size * config.scan_share) if self.scans else 0
        images, labels, floors = [], [], []
        for number in range(config.batch_size):
            if number < from_scans:
                image, label = self._scan_tile(rng)
                floors.append(self.normalisation.min_range)
            else:
                image, label = self._crop(rng)
                floors.append(EIGHT_BIT_MIN_RANGE)
            if rng.random() < config.lone_slice_share:
                image = np.repeat(image[self.slices // 2][None], self.slices, axis=0)
            if config.sharpness_share and rng.random() < config.sharpness_share:
                image = resharpened(image, rng)
            image, label = self._move(image, label, rng, shift=0 if number < from_scans else self._shift(rng))
            image = normalise(image, self.normalisation, min_range=floors[-1])
            # Without mixing, random numbers are drawn in the order that they always were.
            images.append(image if config.mix_share else self._intensity(image, rng))
            labels.append(label)
        if config.mix_share:
            images, labels = mixed(images, labels, config.mix_share, rng)
            images = [self._intensity(image, rng) for image in images]
        return torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(labels))

    def _shift(self, rng: np.random.Generator) -> int:
        config = self.config
        return min(config.near_shift_px, config.shift_px) if rng.random() < config.near_share else config.shift_px

    def _crop(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        pool = self._empty if len(self._empty) and rng.random() < 0.03 else self._positives
        index = int(rng.choice(pool))
        reach = 2 if rng.random() < 0.25 else 1  # slices further apart stand for thicker spacing
        stack = [index]
        for step in (self.crops.below, self.crops.above):
            other = index
            side = []
            for _ in range(self.slices // 2):
                for _ in range(reach):
                    other = int(step[other])
                side.append(other)
            stack = side[::-1] + stack if step is self.crops.below else stack + side
        image = self.crops.images[stack].astype(np.float32)
        # Nothing is drawn for a share of zero, so that a run without them stays what it was.
        if self.config.cavity_share and rng.random() < self.config.cavity_share:
            image = hollowed(image, self.crops.labels[stack] == 1, rng)
        return image, self.crops.labels[index]

    def _scan_tile(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        config = self.config
        number = int(rng.integers(len(self.scans)))
        scan = self.scans[number]
        shape = scan.hu.shape
        size = round(config.tile_px * 1.3) // 2 * 2  # room to turn and scale; only the extremes reflect
        hard = self.hard[number] if self.hard and len(self.hard[number]) else None
        if rng.random() < config.scan_positive_share and len(self._nodules[number]):
            centre = np.array(np.unravel_index(rng.choice(self._nodules[number]), shape))
            centre[1:] += rng.integers(-config.tile_px // 2 + 12, config.tile_px // 2 - 11, size=2)
        elif hard is not None and rng.random() < config.hard_share:
            centre = hard[rng.integers(len(hard))].copy()
            centre[1:] += rng.integers(-config.tile_px // 3, config.tile_px // 3 + 1, size=2)
        else:
            centre = np.array(scan.lung_place(int(rng.choice(scan.lung_voxels))))
        image, label = scan.tile(tuple(centre), size, self.slices)
        image = image.astype(np.float32)
        if config.shell_share and rng.random() < config.shell_share:
            image = self._shell(scan, tuple(int(c) for c in centre), image, label, rng)
        return image, label

    def _shell(
        self,
        scan: TrainingScan,
        centre: tuple[int, ...],
        image: np.ndarray,
        label: np.ndarray,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """The tile with a thin-walled cavity in its lung, if there is lung in its middle part."""
        size = image.shape[-1]
        start = [tile_start(c, size, n) for c, n in zip(centre[1:], scan.hu.shape[1:])]
        reach = self.config.tile_px // 2 - 8
        j0, i0 = (max(s + size // 2 - reach, 0) for s in start)
        j1, i1 = (s + size // 2 + reach for s in start)
        hu = scan.hu[centre[0], j0:j1, i0:i1]
        places = np.argwhere(scan.lung[centre[0], j0:j1, i0:i1] & (hu > LUNG_HU[0]) & (hu < LUNG_HU[1]))
        if not len(places):
            return image
        j, i = places[rng.integers(len(places))] + (j0 - start[0], i0 - start[1])
        return with_shell(image, label, (int(j), int(i)), scan.spacing_mm, rng)

    def _move(
        self, image: np.ndarray, label: np.ndarray, rng: np.random.Generator, *, shift: int
    ) -> tuple[np.ndarray, np.ndarray]:
        config = self.config
        size, out = image.shape[-1], config.tile_px
        angle = np.deg2rad(rng.uniform(-config.turn_degrees, config.turn_degrees) + 90 * rng.integers(4))
        zoom = np.exp(rng.uniform(*np.log(config.scale)))
        flip = -1.0 if rng.random() < 0.5 else 1.0
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * (out / size / zoom)
        turn[:, 0] *= flip
        move = rng.integers(-shift, shift + 1, size=2) * 2.0 / size
        theta = torch.from_numpy(np.column_stack([turn, move])[None].astype(np.float32))
        grid = F.affine_grid(theta, [1, 1, out, out], align_corners=False)
        moved = F.grid_sample(
            torch.from_numpy(image)[None], grid, mode="bilinear", padding_mode="reflection", align_corners=False
        )
        planes = torch.from_numpy(np.stack([label == 1, label == IGNORE]).astype(np.float32))[None]
        both = F.grid_sample(planes, grid, mode="bilinear", padding_mode="reflection", align_corners=False)[0] > 0.5
        new = both[0].to(torch.uint8)
        new[both[1] & ~both[0]] = IGNORE
        return moved[0].numpy(), new.numpy()

    def _intensity(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        config = self.config
        image = image * np.float32(1 + rng.uniform(-config.gain, config.gain))
        image += np.float32(rng.uniform(-config.offset, config.offset))
        if rng.random() < 0.3:
            image += rng.standard_normal(image.shape, dtype=np.float32) * np.float32(rng.uniform(0, config.noise))
        return image
