"""A small model for tests that runs through the real network code, and a phantom CT for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.inference.normalise import Normalisation
from LungNoduleSegLib.networks import NetworkConfig, build, count_parameters
from LungNoduleSegLib.weights import Card, save_weights

TRAINED_SERIES = "1.2.826.0.1.3680043.10.543.1"
OTHER_SERIES = "1.2.826.0.1.3680043.10.543.2"
SHAPE, SPACING = (40, 170, 200), (3.0, 0.9, 0.9)
NODULES = ((20, 85, 52, 6.0), (12, 80, 148, 5.0))  # k, j, i, radius in mm
WALL_HU = 400  # brighter than the nodules of 30 HU, so that grey values alone tell them apart
BRIGHT, TOO_BRIGHT = 0.5, 0.85  # of a tile normalised to 0..1, where lung is at 0.1, a nodule at 0.7, the wall at 1


def phantom(*, nodules=NODULES, series_uid: str = OTHER_SERIES, seed: int = 0) -> CT:
    """A body with two lungs and round solid nodules; 180 x 153 x 120 mm."""
    rng = np.random.default_rng(seed)
    hu = np.full(SHAPE, -1000, np.float32)
    k, j, i = np.indices(SHAPE, sparse=True)
    hu[:, ((j[0] - 85) / 80) ** 2 + ((i[0] - 100) / 96) ** 2 < 1] = WALL_HU
    for middle in (55, 145):
        lung = ((j[0] - 85) / 58) ** 2 + ((i[0] - middle) / 36) ** 2 < 1
        hu[3:37, lung] = -850
    for nk, nj, ni, radius in nodules:
        distance2 = ((k - nk) * 3.0) ** 2 + ((j - nj) * 0.9) ** 2 + ((i - ni) * 0.9) ** 2
        hu[distance2 <= radius**2] = 30
    hu += rng.normal(0, 15, SHAPE)
    matrix = np.array([[-0.9, 0, 0, 90], [0, -0.9, 0, 76], [0, 0, 3, -60], [0, 0, 0, 1.0]])
    return CT.from_array(hu, ijk_to_ras=matrix, series_uid=series_uid)


def network():
    """A network of the family, of width 2, whose weights are set by hand instead of trained.

    Its first level passes the normalised grey value on in two channels, x and the part of x above :data:`TOO_BRIGHT`;
    the deeper levels are silent; the head is high between :data:`BRIGHT` and :data:`TOO_BRIGHT`.
    """
    import torch

    config = NetworkConfig(widths=(2, 4, 8, 16, 32))
    module = build(config).eval()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            is_norm = parameter.dim() == 1 and name.endswith("weight")
            parameter.fill_(1.0 if is_norm else 0.0)
        first = module.encoders[0].shortcut[0]
        first.weight.fill_(1.0)
        first.bias.copy_(torch.tensor([0.0, -TOO_BRIGHT]))
        last = module.decoders[-1].shortcut[0]  # gets two channels from below and the two of the first level
        last.weight[0, 2] = last.weight[1, 3] = 1.0
        module.head.weight[0, 0], module.head.weight[0, 1] = 40.0, -400.0
        module.head.bias.fill_(-40.0 * BRIGHT)
    return config, module


def write_store(folder: Path) -> None:
    """Writes "tiny" (available) and "absent" (a card alone)."""
    config, module = network()
    fields = {
        "version": "0.0.1",
        "summary": "A network of width 2 for tests.",
        "architecture": config.to_dict(),
        "parameters": count_parameters(module),
        "preprocessing": {
            "normalisation": Normalisation().to_dict(),
            "tile_px": 128,
            "clip_hu": [-1024, 3071],
            "input_slices": 1,
        },
        # Larger pixels blend the wall with the lung to what this network takes for nodule.
        "postprocessing": {"mask_threshold": 0.5, "candidate_scorer": None, "coarse_pixel_mm": 0.0},
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
    state = {name: value.detach().numpy() for name, value in module.state_dict().items()}
    save_weights(folder, Card(name="tiny", title="Tiny", **fields), state)
    Card(name="absent", title="Absent", **fields, how_to_get="Train it.").write(folder / "absent.json")
