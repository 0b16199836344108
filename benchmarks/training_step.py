"""Images a second and peak memory of a training step: forward, loss, backward, optimiser, moving average.

    python benchmarks/training_step.py [--model NAME ...] [--width W] [--px 128] [--batch 16] [--accelerator cpu]
                                  [--precision float32] [--accumulate 1] [--threads 1] [--steps 12]

Batches are made up and made before, so that only the step is timed (how fast batches are made is in the last column:
with less than the network takes, give the run --workers). Each measurement has a process of its own. "img/s" is by wall
clock, median of the steps; "CPU img/s" by processor time, which other programs on a shared computer disturb less. Peak
memory is what a process needs beyond the imported packages and the data; on a GPU what torch took there.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from support import child, machine, peak_memory, report

MODELS = ("model-1-compact", "model-2-compact")
PRECISIONS = ("float32", "auto")


def made_up(px: int) -> Any:
    """Crops of noise with a disc in each: what is in them does not change how long a step takes."""
    import numpy as np

    from training.data.crops import Crops

    rng = np.random.default_rng(0)
    rows, columns = np.ogrid[:px, :px]
    labels = np.repeat(((rows - px / 2) ** 2 + (columns - px / 2) ** 2 < 64)[None].astype(np.uint8), 8, axis=0)
    index = np.arange(8)
    return Crops(
        images=rng.integers(0, 256, (8, px, px), dtype=np.uint8), votes=labels, labels=labels,
        readers=np.ones(8, np.uint8), patients=np.full(8, "LIDC-IDRI-0001"), series=np.full(8, "1.2"),
        nodules=index, below=index, above=index, spacing_mm=np.full(8, 0.7, np.float32),
    )  # fmt: skip


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Train a few steps and time them."""
    import torch

    from training.engine.config import EngineConfig
    from training.engine.runs import run_config
    from training.engine.trainer import Trainer

    if job["threads"]:
        torch.set_num_threads(job["threads"])
    torch.set_flush_denormal(True)
    engine = EngineConfig(
        accelerator=job["accelerator"], precision=job["precision"], accumulate=job["accumulate"], progress=False
    )
    config = run_config(
        job["model"], samples=10**6, cooldown=0, tile_px=job["px"], width=job["width"], batch_size=job["batch"],
        scan_share=0.0, engine=engine,
    )  # fmt: skip
    crops = made_up(max(job["px"], 128))
    with tempfile.TemporaryDirectory() as folder, peak_memory() as memory:
        trainer = Trainer(config, crops, [], Path(folder))
        started = time.process_time()
        batches = [trainer.sampler.batch(step) for step in range(3)]
        making = (time.process_time() - started) / 3
        wall, processor = [], []
        for step in range(job["steps"] + 2):  # the first two fill caches and the optimiser's state
            start, start_cpu = time.perf_counter(), time.process_time()
            float(trainer._train_step(*batches[step % 3]))  # reading it waits for a GPU
            wall.append(time.perf_counter() - start)
            processor.append(time.process_time() - start_cpu)
            trainer.step += 1
    peak = torch.cuda.max_memory_allocated() / 2**20 if trainer.device.type == "cuda" else memory["peak_mb"]
    return {
        "rate": job["batch"] / statistics.median(wall[2:]),
        "cpu_rate": job["batch"] / statistics.median(processor[2:]),
        "making": job["batch"] / making,
        "peak_mb": peak,
        "precision": str(trainer.precision or torch.float32).removeprefix("torch."),
        "parameters": sum(p.numel() for p in trainer.network.parameters()),
        "device": trainer.device.type,
    }


def main() -> None:
    """Measure each model in each precision and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", help=f"default: {' and '.join(MODELS)}")
    parser.add_argument("--width", type=int)
    parser.add_argument("--px", type=int, default=128)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--accelerator", default="auto")
    parser.add_argument("--precision", action="append", help=f"default: {' and '.join(PRECISIONS)}")
    parser.add_argument("--accumulate", type=int, default=1)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(json.loads(arguments.child))))
        return
    rows, seen = [], set()
    same = {name: getattr(arguments, name) for name in ("width", "px", "batch", "accelerator", "accumulate", "threads")}
    for model in arguments.model or MODELS:
        for precision in arguments.precision or PRECISIONS:
            run = child(__file__, {**same, "model": model, "precision": precision, "steps": arguments.steps})
            print(f"{model} {precision}: {json.dumps(run)}", file=sys.stderr)
            if (model, run["precision"]) in seen:
                continue  # "auto" chose what was measured already
            seen.add((model, run["precision"]))
            rows.append(
                {
                    "model": model,
                    "parameters": f"{run['parameters'] / 1e6:.2f} M",
                    "device": run["device"],
                    "precision": run["precision"],
                    "img/s": f"{run['rate']:.1f}",
                    "CPU img/s": f"{run['cpu_rate']:.1f}" if run["device"] == "cpu" else "",
                    "peak MB": f"{run['peak_mb']:.0f}",
                    "batches made img/s": f"{run['making']:.0f}",
                }
            )
    size = f"width {arguments.width}, " if arguments.width else ""
    parts = f" in {arguments.accumulate} parts" if arguments.accumulate > 1 else ""
    print(f"\nA training step of {size}{arguments.px} px, batch {arguments.batch}{parts}, on {machine()}\n")
    report(rows, list(rows[0]))


if __name__ == "__main__":
    main()
