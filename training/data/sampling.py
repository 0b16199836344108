"""Batches: crops and tiles of scans, moved, turned, scaled and normalised; reproducible from (seed, step)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch.nn import functional as F

from LungNoduleSegLib.inference.normalise import Normalisation, normalise
from training.data.appearance import resharpened
from training.data.cavities import hollowed
from training.data.crops import IGNORE, Crops
from training.data.mixing import mixed
from training.data.sampling_config import SamplingConfig
from training.data.scan_tiles import NodulePlaces, scan_tile
from training.data.scans import TrainingScan

EIGHT_BIT_MIN_RANGE = 1.0


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
        self._nodules = [NodulePlaces.of(scan) for scan in self.scans]

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Images float32 (n, slices, px, px), normalised, and labels uint8 (n, px, px) with 255 left out."""
        rng = np.random.default_rng([self.seed, step])
        config = self.config
        from_scans = round(config.batch_size * config.scan_share) if self.scans else 0
        scan_scale = (config.scan_least_scale or config.scale[0], config.scale[1])
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
            if number < from_scans:
                image, label = self._move(image, label, rng, shift=0, scale=scan_scale)
            else:
                image, label = self._move(image, label, rng, shift=self._shift(rng), scale=config.scale)
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
        number = int(rng.integers(len(self.scans)))
        hard = self.hard[number] if self.hard and len(self.hard[number]) else None
        return scan_tile(self.scans[number], self._nodules[number], hard, self.config, self.slices, rng)

    def _move(
        self, image: np.ndarray, label: np.ndarray, rng: np.random.Generator, *, shift: int, scale: tuple[float, float]
    ) -> tuple[np.ndarray, np.ndarray]:
        config = self.config
        size, out = image.shape[-1], config.tile_px
        angle = np.deg2rad(rng.uniform(-config.turn_degrees, config.turn_degrees) + 90 * rng.integers(4))
        zoom = np.exp(rng.uniform(*np.log(scale)))
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
