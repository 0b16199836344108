"""Weights to start from that already find what is bright in a lung: seconds of training could not teach that."""

from __future__ import annotations

from pathlib import Path

import torch

from LungNoduleSegLib.networks import build, count_parameters
from LungNoduleSegLib.weights import Card, save_weights
from training.engine.runs import run_config

NAME, SERIES = "bright", "1.2.826.0.1.3680043.10.543.77"
FROM, TO = 0.5, 0.85
"""Of a tile normalised to 0..1: lung lies at 0.1, a nodule near 0.75, the wall at 1."""


def write_bright(folder: Path) -> None:
    """A member of the family with 2 channels whose weights are set by hand, with its card.

    Its first level passes the middle slice on as it is, and what of it lies above ``TO``; the head is high between
    the two; everything else is silent.
    """
    config = run_config("model-2-compact", width=2, samples=1, cooldown=0)
    network = build(config.network).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.fill_(1.0 if parameter.dim() == 1 and name.endswith("weight") else 0.0)
        first, last = network.encoders[0].shortcut[0], network.decoders[-1].shortcut[0]
        first.weight[:, config.network.input_slices // 2] = 1.0
        first.bias.copy_(torch.tensor([0.0, -TO]))
        last.weight[0, 2] = last.weight[1, 3] = 1.0
        network.head.weight[0, 0], network.head.weight[0, 1] = 40.0, -400.0
        network.head.bias.fill_(-40.0 * FROM)
    card = Card(
        name=NAME, title="Bright", version="1.0", summary="Set by hand.", architecture=config.network.to_dict(),
        parameters=count_parameters(network),
        preprocessing={
            "normalisation": config.normalisation.to_dict(), "tile_px": 128, "clip_hu": [-1024, 3071],
            "input_slices": config.network.input_slices,
        },
        postprocessing={"mask_threshold": 0.5, "candidate_scorer": None},
        training={"data": "none", "series": {"train": [SERIES], "validation": []}, "split": {}},
        metrics={}, operating_points=(), licence="Apache-2.0", intended_use="Tests.",
    )  # fmt: skip
    save_weights(folder, card, {name: value.numpy() for name, value in network.state_dict().items()})
