"""Milliseconds a tile of every engine, in one run: PyTorch, ONNX Runtime and, where it is installed, OpenVINO.

    python benchmarks/engines.py [CT] [--model NAME] [--engine torch] [--batch 16] [--threads 2] [--repeats 10]
                                 [--json FILE]

The shipped models and `model-2` of full width with made-up weights, on the CPU, in batches of 1 and 16 tiles (full
width: 1) with one thread and with all cores. "torch" is the engine of the library, folded and channels last; "eager" is
the network as it was trained; "int8" is with convolutions in whole numbers of 8 bits (their ranges are measured while
it is loaded, by PyTorch: load time and memory are those of that); what says nothing else is in float32. A single tile
is computed by one thread with ONNX Runtime and OpenVINO. Tiles of 128 x 128 pixels are noise with a bright disc: what
is in a tile does not change its time. Each figure comes from a process of its own, is the smallest of the repeats after
a first one, and counts the network alone; the difference is the largest of the probabilities from those of "eager". The
CT is not used: it is taken so that all benchmarks can be called alike.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from support import available_models, child, cores, machine, network_state, peak_memory, report, stopwatch, write_json

FULL = "model-2"
ENGINES = (
    "eager", "torch", "onnxruntime", "onnxruntime int8", "openvino", "openvino bfloat16", "openvino int8",
)  # fmt: skip


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Load one engine and time it."""
    import numpy as np

    config, state = network_state(job["model"])
    x = _tiles(config, job["batch"])
    with peak_memory() as memory:
        elapsed = stopwatch()
        forward = _FORWARD[job["engine"]](config, state, job["threads"])
        load_s = elapsed()
        found = forward(x)
        seconds = []
        for _ in range(job["repeats"]):
            elapsed = stopwatch()
            forward(x)
            seconds.append(elapsed())
    expected = found if job["engine"] == "eager" else _eager(config, state, job["threads"])(x)
    return {
        "ms": [1000 * s / job["batch"] for s in seconds],
        "load_s": load_s,
        "peak_mb": memory["peak_mb"],
        "difference": float(np.abs(found - expected).max()),
    }


def _tiles(config: Any, count: int) -> Any:
    """Lung and nodule, normalised."""
    import numpy as np

    px = config.input_px
    x = np.random.default_rng(0).normal(0.1, 0.03, (count, config.input_slices, px, px)).astype(np.float32)
    row, column = np.mgrid[:px, :px]
    x[..., np.hypot(row - px / 2, column - px / 2) < px / 16] = 0.7
    return x


def _eager(config: Any, state: dict[str, Any], threads: int) -> Any:
    import torch

    from LungNoduleSegLib.inference.engines.torch_engine import load_weights
    from LungNoduleSegLib.networks import build

    torch.set_num_threads(threads)
    network = build(config).eval()
    load_weights(network, state)

    def forward(x: Any) -> Any:
        with torch.inference_mode():
            return network(torch.from_numpy(x))[:, 0].sigmoid().numpy()

    return forward


def _library(name: str, precision: str = "float32") -> Any:
    def load(config: Any, state: dict[str, Any], threads: int) -> Any:
        from LungNoduleSegLib.inference.engines.choose import make_engine

        return make_engine(config, state, engine=name, device="cpu", precision=precision, threads=threads)._forward

    return load


def _int8(engine: str) -> Any:
    def load(config: Any, state: dict[str, Any], threads: int) -> Any:
        from LungNoduleSegLib.inference.engines.choose import make_engine
        from training.publish.quantise import tensor_ranges

        ranges = tensor_ranges(config, state, [_tiles(config, 16)])
        return make_engine(config, state, engine=engine, precision="int8", threads=threads, ranges=ranges)._forward

    return load


_FORWARD = {
    "eager": _eager, "torch": _library("torch"), "onnxruntime": _library("onnxruntime"),
    "onnxruntime int8": _int8("onnxruntime"), "openvino": _library("openvino"),
    "openvino bfloat16": _library("openvino", "bfloat16"), "openvino int8": _int8("openvino"),
}  # fmt: skip


def main() -> None:
    """Measure each model with each engine and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ct", type=Path, nargs="?")
    parser.add_argument("--model", action="append")
    parser.add_argument("--engine", action="append", choices=ENGINES)
    parser.add_argument("--batch", type=int, action="append", help="1 and 16 if not given")
    parser.add_argument("--threads", type=int, action="append", help="1 and all cores if not given")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(json.loads(arguments.child))))
        return
    engines = [n for n in arguments.engine or ENGINES if n == "eager" or find_spec(n.split()[0]) is not None]
    rows, runs = [], []
    for model in arguments.model or [*available_models(), FULL]:
        full = model not in available_models()
        for threads in arguments.threads or sorted({1, cores()}):
            for batch in arguments.batch or ((1,) if full else (1, 16)):
                for engine in engines:
                    job = {"model": model, "engine": engine, "batch": batch, "threads": threads}
                    run = child(__file__, {**job, "repeats": arguments.repeats})
                    runs.append({**job, **run})
                    print(json.dumps(runs[-1]), file=sys.stderr)
                    rows.append(
                        {
                            **job,
                            "ms a tile": f"{min(run['ms']):.1f}",
                            "median": f"{sorted(run['ms'])[len(run['ms']) // 2]:.1f}",
                            "load s": f"{run['load_s']:.1f}",
                            "peak MB": f"{run['peak_mb']:.0f}",
                            "difference": f"{run['difference']:.0e}",
                        }
                    )
    print(f"\nEngines on {machine()}\n")
    report(rows, ["model", "threads", "batch", "engine", "ms a tile", "median", "load s", "peak MB", "difference"])
    write_json(arguments.json, runs=runs)


if __name__ == "__main__":
    main()
