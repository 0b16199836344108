"""A small but real model for the tests of the command line: trained for seconds on drawn nodules, and its phantom CT."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.inference.normalise import Normalisation, normalise
from LungNoduleSegLib.networks import NetworkConfig, build, count_parameters
from LungNoduleSegLib.weights import Card, save_weights

TRAINED_SERIES = "1.2.826.0.1.3680043.10.543.1"
OTHER_SERIES = "1.2.826.0.1.3680043.10.543.2"
SHAPE, SPACING = (40, 170, 200), (3.0, 0.9, 0.9)
NODULES = ((20, 85, 52, 6.0), (12, 80, 148, 5.0))  # k, j, i, radius in mm


def phantom(*, nodules=NODULES, series_uid: str = OTHER_SERIES, seed: int = 0) -> CT:
    """A body with two lungs and round solid nodules; 180 x 153 x 120 mm."""
    rng = np.random.default_rng(seed)
    hu = np.full(SHAPE, -1000, np.float32)
    k, j, i = np.indices(SHAPE, sparse=True)
    hu[:, ((j[0] - 85) / 80) ** 2 + ((i[0] - 100) / 96) ** 2 < 1] = 40
    for middle in (55, 145):
        lung = ((j[0] - 85) / 58) ** 2 + ((i[0] - middle) / 36) ** 2 < 1
        hu[3:37, lung] = -850
    for nk, nj, ni, radius in nodules:
        distance2 = ((k - nk) * 3.0) ** 2 + ((j - nj) * 0.9) ** 2 + ((i - ni) * 0.9) ** 2
        hu[distance2 <= radius**2] = 30
    hu += rng.normal(0, 15, SHAPE)
    matrix = np.array([[-0.9, 0, 0, 90], [0, -0.9, 0, 76], [0, 0, 3, -60], [0, 0, 0, 1.0]])
    return CT.from_array(hu, ijk_to_ras=matrix, series_uid=series_uid)


def _tiles(rng, count: int, px: int):
    """Lung with a chest wall on one side and up to two round nodules: HU (n, 1, px, px), masks."""
    y, x = np.mgrid[:px, :px]
    images, masks = [], []
    for _ in range(count):
        image = np.full((px, px), -850.0)
        angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0.12, 0.55) * px
        mask = np.zeros((px, px), bool)
        for _ in range(rng.integers(0, 3)):
            cy, cx = rng.uniform(8, px - 8, 2)
            mask |= (y - cy) ** 2 + (x - cx) ** 2 <= rng.uniform(3, 8) ** 2
        image[mask] = 30
        wall = (x - px / 2) * np.cos(angle) + (y - px / 2) * np.sin(angle) > reach
        image[wall] = 40
        images.append(image + rng.normal(0, 15, image.shape))
        masks.append(mask & ~wall)
    return np.stack(images)[:, None].astype(np.float32), np.stack(masks)[:, None]


def train(steps: int = 100, batch: int = 8, px: int = 64):
    """A network of width 2 that finds bright round things in dark lung."""
    import torch

    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    config = NetworkConfig(widths=(2, 4, 8, 16, 32), scse=("encoder", "bottleneck"))
    network = build(config).train()
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(steps):
        tiles, masks = _tiles(rng, batch, px)
        logits = network(torch.from_numpy(normalise(tiles, Normalisation())))
        wanted = torch.from_numpy(masks.astype(np.float32))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted)
        probability = logits.sigmoid()
        overlap = (probability * wanted).sum()
        loss = loss + 1 - (2 * overlap + 1) / (probability.sum() + wanted.sum() + 1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return config, network.eval(), float(loss.detach())


def write_store(folder: Path) -> None:
    """Trains and writes "tiny" (available) and "absent" (a card alone)."""
    config, network, _ = train()
    fields = {
        "version": "0.0.1",
        "summary": "A network of width 2 for tests.",
        "architecture": config.to_dict(),
        "parameters": count_parameters(network),
        "preprocessing": {
            "normalisation": Normalisation().to_dict(),
            "tile_px": 128,
            "clip_hu": [-1024, 3071],
            "input_slices": 1,
        },
        "postprocessing": {"mask_threshold": 0.5, "candidate_scorer": None},
        "training": {
            "data": "drawn nodules",
            "series": {"train": [TRAINED_SERIES], "validation": []},
            "split": {},
        },
        "metrics": {},
        "operating_points": ({"name": "balanced", "threshold": 0.3, "default": True},),
        "licence": "Apache-2.0",
        "intended_use": "Tests.",
    }
    state = {name: value.detach().numpy() for name, value in network.state_dict().items()}
    save_weights(folder, Card(name="tiny", title="Tiny", **fields), state)
    Card(name="absent", title="Absent", **fields, how_to_get="Train it.").write(folder / "absent.json")
