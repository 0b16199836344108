"""A small valid card and weights, for the tests of this folder."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np

from LungNoduleSegLib.weights import Card, save_weights

TRAIN_UIDS = ["1.3.6.1.4.1.14519.5.2.1.6279.6001.1", "1.3.6.1.4.1.14519.5.2.1.6279.6001.2"]
VALIDATION_UIDS = ["1.3.6.1.4.1.14519.5.2.1.6279.6001.3"]

_CARD = {
    "schema": 1,
    "name": "tiny",
    "title": "Tiny",
    "version": "0.1.0",
    "summary": "A model for tests.",
    "architecture": {"widths": [2, 4, 8, 16, 32], "scse": [], "vit": None, "input_slices": 3, "input_px": 128},
    "parameters": 1004,
    "preprocessing": {
        "normalisation": {"method": "percentile", "low": 0.5, "high": 99.5, "min_range": 100.0},
        "tile_px": 128,
        "clip_hu": [-1024, 3071],
        "input_slices": 3,
    },
    "postprocessing": {"mask_threshold": 0.5, "candidate_scorer": None},
    "training": {
        "data": "noise",
        "series": {"train": TRAIN_UIDS, "validation": VALIDATION_UIDS},
        "split": {"by": "patient"},
    },
    "metrics": {"test": {"iou_pos": {"value": 0.6, "low": 0.55, "high": 0.65, "n_images": 10, "n_patients": 4}}},
    "operating_points": [
        {"name": "balanced", "threshold": 0.4, "default": True, "found": 3, "nodules": 4, "source": "six scans"},
        {"name": "sensitive", "threshold": 0.2, "default": False},
    ],
    "licence": "Apache-2.0",
    "intended_use": "Research use only.",
    "file": None,
    "sha256": None,
    "size_bytes": None,
    "url": None,
    "how_to_get": None,
}


def card_data(**changes: Any) -> dict[str, Any]:
    """The JSON object of a valid card; a change's key may name a nested value: ``training__data="x"``."""
    data = deepcopy(_CARD)
    for name, value in changes.items():
        *path, last = name.split("__")
        inner = data
        for step in path:
            inner = inner[step]
        inner[last] = value
    return data


def tiny_state(seed: int = 0) -> dict[str, np.ndarray]:
    """1004 parameters in float32, with a batch norm's buffers."""
    rng = np.random.default_rng(seed)
    return {
        "head.weight": rng.normal(size=(10, 100)).astype(np.float32),
        "head.bias": np.array([0.25, -3.0], np.float32),
        "norm.weight": np.ones(2, np.float32),
        "norm.running_mean": rng.normal(size=2).astype(np.float32),
        "norm.running_var": np.array([0.5, 2.0], np.float32),
        "norm.num_batches_tracked": np.array(123456789, np.int64),
    }


def make_model(folder: Path, *, seed: int = 0, **changes: Any) -> Card:
    """Weights and card in a folder."""
    return save_weights(folder, Card.from_dict(card_data(**changes)), tiny_state(seed))
