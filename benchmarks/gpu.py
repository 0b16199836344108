"""Milliseconds a tile, seconds a click and a whole CT on a GPU with CUDA, in one run.

    python benchmarks/gpu.py [CT] [--model NAME] [--batch 64] [--repeats 30] [--json FILE]

The shipped models, and `model-1` and `model-2` of full width with made-up weights, which do not change the time. One
tile: "eager" is the network as it was trained, in float32, which the thesis' slides give 23.4 ms (model 1) and 15.3 ms
(model 2) for, on a GPU and in a way of measuring that they do not name; "plain" is the library's network, folded,
channels last, in the format that it chooses; "graph" is the same repeated from a CUDA graph. These count the GPU alone,
from tile to probabilities that lie there. Throughput is given twice: of the network alone, and of the engine with
normalising and copies. With a CT the shipped models also search it and click five points in each of three nodules;
without one both are left out. Each model has a process of its own; every figure is the median after a warm-up.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support import available_models, child, machine, network_state, report, stopwatch, write_json
from support.search import searched

FULL = ("model-1", "model-2")
SLIDES_MS = {"model-1": 23.4, "model-2": 15.3}
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)


def check_gpu() -> None:
    """Leave with a sentence where nothing can be measured."""
    import torch

    if not torch.cuda.is_available():
        raise SystemExit(
            "benchmarks/gpu.py needs a GPU with CUDA and a PyTorch built for it; "
            f"this PyTorch ({torch.__version__}) finds none."
        )


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Everything about one model."""
    out = _computed(job)
    if job["ct"] and job["model"] in available_models():
        out["whole_ct"] = searched({**job, "precision": "auto"})
        out["click"] = _clicked(job)
    return out


def _computed(job: dict[str, Any]) -> dict[str, Any]:
    """One tile in every way, and throughput."""
    import torch

    from LungNoduleSegLib.inference.engines.graphs import PATIENCE
    from LungNoduleSegLib.segmenter.load import engine_of
    from LungNoduleSegLib.weights import find

    config, state = network_state(job["model"])
    device = torch.device(job["device"])
    out: dict[str, Any] = {"single_ms": {"eager": _eager(config, state, device, job["repeats"])}}
    engine = engine_of(find(job["model"]).card, state, device=job["device"], engine="torch")
    tile = _tiles(engine, 1).to(device)
    out["engine"] = engine.description
    with torch.inference_mode():
        out["single_ms"]["plain"] = _ms(lambda: engine._probability(tile), device, job["repeats"])
        graphs = engine._graphs
        if graphs is not None:
            for _ in range(PATIENCE + 1):
                graphs(tile)
            out["single_ms"]["graph"] = None if graphs.given_up else _ms(lambda: graphs(tile), device, job["repeats"])
            out["graphs_given_up"] = graphs.given_up
            graphs.clear()
    out["batches"] = [_throughput(engine, batch, device, job["repeats"]) for batch in job["batches"]]
    out["warnings"] = list(engine.warnings)
    return out


def _eager(config: Any, state: dict[str, Any], device: Any, repeats: int) -> float:
    import torch

    from LungNoduleSegLib.inference.engines.torch_engine import load_weights
    from LungNoduleSegLib.networks import build

    network = build(config).eval()
    load_weights(network, state)
    network.to(device)
    tile = torch.zeros((1, config.input_slices, config.input_px, config.input_px), device=device)
    with torch.inference_mode():
        return _ms(lambda: network(tile).sigmoid(), device, repeats)


def _tiles(engine: Any, count: int) -> Any:
    """Normalised tiles: what is in them does not change the time."""
    import torch

    torch.manual_seed(0)
    return 0.1 + 0.03 * torch.randn(count, engine.input_slices, engine.tile_px, engine.tile_px)


def _ms(call: Callable[[], Any], device: Any, repeats: int) -> float:
    """Median of single calls in milliseconds, each waited for."""
    import torch

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    for _ in range(3):
        call()
    seconds = []
    for _ in range(repeats):
        wait()
        elapsed = stopwatch()
        call()
        wait()
        seconds.append(elapsed())
    return 1000 * statistics.median(seconds)


def _throughput(engine: Any, batch: int, device: Any, repeats: int) -> dict[str, Any]:
    """Tiles a second in batches of one size, of the network alone and with normalising and copies."""
    import numpy as np
    import torch

    from LungNoduleSegLib.inference.engines.batches import out_of_memory

    found: dict[str, Any] = {"batch": batch}
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    try:
        x = _tiles(engine, batch).to(device)
        with torch.inference_mode():
            found["network_tiles_s"] = 1000 * batch / _ms(lambda: engine._probability(x), device, max(3, repeats // 3))
    except Exception as error:
        if not out_of_memory(error):
            raise
        return {**found, "problem": "out of memory"}
    if device.type == "cuda":
        found["peak_mb"] = torch.cuda.max_memory_allocated(device) / 2**20
    engine.batch_size = batch * engine.parts
    shape = (2 * engine.batch_size, engine.input_slices, engine.tile_px, engine.tile_px)
    tiles = np.random.default_rng(0).normal(-850, 20, shape).astype(np.int16)  # lung tissue
    found["engine_tiles_s"] = 1000 * len(tiles) / _ms(lambda: engine.predict(tiles), device, 3)
    if engine.at_once != batch:
        found["problem"] = f"memory ran out, {engine.at_once} at once"
    return found


def _clicked(job: dict[str, Any]) -> dict[str, Any]:
    """Seconds of clicks on a CT whose lungs are known and whose graphs are recorded."""
    from LungNoduleSegLib import load_segmenter, read_ct

    ct = read_ct(Path(job["ct"]))
    segmenter = load_segmenter(job["model"], device=job["device"], engine="torch")
    centres = [nodule.centroid_ras for nodule in segmenter.segment(ct, threshold=0.0).nodules[:3]]
    steps = ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (1, 1, 0))
    seconds = []
    for centre in centres:
        for mm in (0.6, 1.2):
            for step in steps:
                point = tuple(float(c + mm * d) for c, d in zip(centre, step))
                elapsed = stopwatch()
                segmenter.click(ct, [point])
                if mm > 1:  # those nearer to the middle warm up
                    seconds.append(elapsed())
    if not seconds:
        return {"problem": "no nodule was found to click"}
    return {"warm_s": statistics.median(seconds), "slowest_s": max(seconds), "clicks": len(seconds)}


def _figure(value: float | None, digits: int = 1) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _print(runs: list[dict[str, Any]]) -> None:
    print(f"\nOn {machine()}\n\nOne tile, milliseconds\n")
    singles = [
        {
            "model": run["model"],
            "eager float32": _figure(run["single_ms"]["eager"], 2),
            "slides": SLIDES_MS.get(run["model"], ""),
            "plain": _figure(run["single_ms"]["plain"], 2),
            "graph": _figure(run["single_ms"].get("graph"), 2) or run.get("graphs_given_up", ""),
            "engine": run["engine"],
        }
        for run in runs
    ]
    report(singles, ["model", "eager float32", "slides", "plain", "graph", "engine"])
    print("\nTiles a second\n")
    rows = [
        {
            "model": run["model"],
            "batch": row["batch"],
            "network": _figure(row.get("network_tiles_s")),
            "engine": _figure(row.get("engine_tiles_s")),
            "peak MB": _figure(row.get("peak_mb"), 0),
            "problem": row.get("problem", ""),
        }
        for run in runs
        for row in run["batches"]
    ]
    report(rows, ["model", "batch", "network", "engine", "peak MB", "problem"])
    whole = [
        {
            "model": run["model"],
            "whole CT s": _figure(run["whole_ct"]["seconds"], 2),
            "network s": _figure(run["whole_ct"]["network_s"], 2),
            "nodules": run["whole_ct"]["nodules"],
            "click s": _figure(run["click"].get("warm_s"), 3) or run["click"]["problem"],
            "slowest s": _figure(run["click"].get("slowest_s"), 3),
        }
        for run in runs
        if "whole_ct" in run
    ]
    if whole:
        print("\nA whole CT and warm clicks\n")
        report(whole, ["model", "whole CT s", "network s", "nodules", "click s", "slowest s"])


def main() -> None:
    """Measure each model and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ct", type=Path, nargs="?")
    parser.add_argument("--model", action="append")
    parser.add_argument("--batch", type=int, action="append", help="1, 2, 4 to 128 if not given")
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there, too")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(json.loads(arguments.child))))
        return
    check_gpu()
    runs = []
    for model in arguments.model or [*available_models(), *FULL]:
        job = {"model": model, "device": "cuda", "ct": str(arguments.ct) if arguments.ct else None}
        job |= {"batches": arguments.batch or BATCHES, "repeats": arguments.repeats}
        runs.append({"model": model, **child(__file__, job)})
        print(json.dumps(runs[-1]), file=sys.stderr)
    _print(runs)
    write_json(arguments.json, runs=runs)


if __name__ == "__main__":
    main()
