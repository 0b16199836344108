"""Seconds a tile of a network of full width, in the engine that the search uses; its weights may be missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support import peak_memory, process_mb, stopwatch


def full_width(job: dict[str, Any]) -> dict[str, Any]:
    """Time batches of tiles from the middle slices of a CT; weights are made up, which does not change the time."""
    import numpy as np

    from LungNoduleSegLib import read_ct
    from LungNoduleSegLib.inference.tiles import gather
    from LungNoduleSegLib.networks import NetworkConfig, state_shapes
    from LungNoduleSegLib.segmenter.load import engine_of
    from LungNoduleSegLib.weights import checks, find

    ct = read_ct(Path(job["ct"]))
    card = find(job["model"]).card
    rng = np.random.default_rng(0)
    config = NetworkConfig.from_dict(checks.thawed(card.architecture))
    shapes = state_shapes(config)
    state = {name: _made_up(rng, name, shape) for name, shape in shapes.items()}
    parameters = sum(array.size for array in state.values())
    if job["precision"] == "int8":
        card = _with_ranges(card, config, state)
    engine = engine_of(card, state, device="cpu", precision=job["precision"])
    depth, height, width = ct.shape
    batch = job["tiles"] or engine.batch_size
    del state
    seconds = []
    with peak_memory() as memory:
        for _ in range(job["patches"] + 1):
            places = np.column_stack(
                [rng.integers(depth // 4, max(3 * depth // 4, 1), batch)]
                + [rng.integers(0, max(n - 128, 1), batch) for n in (height, width)]
            )
            tiles = gather(ct.hu, places, slices=engine.input_slices)
            elapsed = stopwatch()
            engine.predict(tiles)
            seconds.append(elapsed())
    timed = seconds[1:]  # the first one makes buffers and kernels
    return {
        "tile_s": sum(timed) / len(timed) / batch,
        "seconds_each": seconds,
        "batch": batch,
        "parameters": parameters,
        "engine": engine.description,
        "precision": getattr(engine, "precision", ""),
        "peak_mb": memory["peak_mb"],
        "process_mb": process_mb(),
    }


def _made_up(rng: Any, name: str, shape: tuple[int, ...]) -> Any:
    """Weights that neither overflow nor fade away: either would change the time."""
    import numpy as np

    if name.endswith("running_var"):
        return np.ones(shape, np.float32)
    inputs = max(int(np.prod(shape[1:])), 1)
    return np.asarray(rng.standard_normal(shape, np.float32) / np.sqrt(inputs), np.float32)


def _with_ranges(card: Any, config: Any, state: dict[str, Any]) -> Any:
    """The card with ranges of these weights: which they are does not change the time."""
    from dataclasses import replace

    from LungNoduleSegLib.inference.engines.plausible import plausible_tiles
    from LungNoduleSegLib.inference.normalise import Normalisation
    from training.publish.quantise import tensor_ranges

    found = tensor_ranges(config, state, [plausible_tiles(config, Normalisation())])
    return replace(card, quantisation={"ranges": {layer: list(values) for layer, values in found.items()}})
