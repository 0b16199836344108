"""What the benchmarks share: the machine in words, peak memory, the plain way, child processes."""

from __future__ import annotations

import gc
import json
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))


def machine() -> str:
    """CPU, its instruction sets that matter here, cores and torch, in one line."""
    import torch

    from LungNoduleSegLib.inference.engines.precision import cpu_features

    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.exists() else ""
    models = [line for line in text.splitlines() if line.startswith("model name")]
    name = models[0].split(":", 1)[1].strip() if models else name
    there = {**cpu_features(), "vnni": "avx512_vnni" in text or "avx_vnni" in text}
    sets = ", ".join(name for name, is_there in there.items() if is_there) or "none of avx2, avx512, amx, vnni"
    gpu = f"; {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    load = f"; load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    threads = torch.get_num_threads()
    return f"{name} ({sets}), {cores()} cores, torch {torch.__version__} with {threads} threads{gpu}{load}"


def resident() -> int:
    """Memory of this process in bytes."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _give_back() -> None:
    """Return freed memory to the system: what is still held from loading would hide what is needed afterwards."""
    import ctypes

    gc.collect()
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):  # another C library than GNU's
            ctypes.CDLL(None).malloc_trim(0)


@contextmanager
def peak_memory(every_s: float = 0.01) -> Iterator[dict[str, float]]:
    """Measure how far the process grows: the dictionary gets "peak_mb" (beyond the start) when the block ends."""
    _give_back()
    start, found, done = resident(), {}, threading.Event()
    highest = [start]

    def watch() -> None:
        while not done.wait(every_s):
            highest[0] = max(highest[0], resident())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()
        found["peak_mb"] = (max(highest[0], resident()) - start) / 2**20


def process_mb() -> float | None:
    """The most that this process ever needed, imports and what was loaded included; None where it cannot be told."""
    from LungNoduleSegLib.report.memory import peak_memory_mb

    return peak_memory_mb()


def cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def child(script: str, job: dict[str, Any]) -> dict[str, Any]:
    """Run one measurement in a process of its own, so that none warms or fills the memory of another.

    ``job["threads"]`` is for torch; with ``job["cores"]`` the process may use only so many cores where the system can
    hold it to that, and else so many threads.
    """
    environment = dict(os.environ)
    wanted = job.get("cores") or job.get("threads")
    if wanted:
        environment["OMP_NUM_THREADS"] = str(wanted)
    hold = None
    if job.get("cores") and hasattr(os, "sched_setaffinity"):
        hold = partial(os.sched_setaffinity, 0, sorted(os.sched_getaffinity(0))[: job["cores"]])
    command = [sys.executable, script, "--child", json.dumps(job)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, preexec_fn=hold)
    if done.returncode:
        raise SystemExit(f"{Path(script).name} failed on {job}")
    return json.loads(done.stdout.splitlines()[-1])


def computing(precision: str) -> dict[str, str]:
    """Options of `load_segmenter` from "int8", "auto", or with the engine's name before it, "openvino:int8"."""
    engine, _, precision = precision.rpartition(":")
    return {"engine": engine or "auto", "precision": precision}


def available_models() -> list[str]:
    """Names of the models whose weights are here."""
    from LungNoduleSegLib.weights import models

    return [entry.name for entry in models() if entry.available]


def default_cts() -> list[Path]:
    """The public sample (fetched once) and, where the data is there, LIDC-IDRI-0063."""
    from LungNoduleSegLib.cli.sample_data import fetch_sample

    found = [fetch_sample(lambda text: print(text, file=sys.stderr)).image]
    data = os.environ.get("LUNGNODULESEG_DATA")
    lidc = Path(data or ".", "LIDC-IDRI", "LIDC-IDRI-0063")
    return [*found, lidc] if data and lidc.is_dir() else found


def network_state(model: str) -> tuple[Any, dict[str, Any]]:
    """Configuration and weights (arrays by name) of a model; weights made up, from one seed, where it has none."""
    from LungNoduleSegLib.networks import NetworkConfig, build
    from LungNoduleSegLib.weights import checks, find, load_state

    entry = find(model)
    config = NetworkConfig.from_dict(checks.thawed(entry.card.architecture))
    if entry.available:
        return config, load_state(entry)
    import torch

    torch.manual_seed(0)
    return config, {name: tensor.numpy() for name, tensor in build(config).state_dict().items()}


def plain_network(model: str) -> Any:
    """The network as it was trained: eager float32, nothing folded, channels first."""
    import torch

    from LungNoduleSegLib.inference.engines.torch_engine import load_weights
    from LungNoduleSegLib.inference.normalise import Normalisation
    from LungNoduleSegLib.networks import NetworkConfig, build
    from LungNoduleSegLib.weights import checks, find, load_state

    entry = find(model)
    network = build(NetworkConfig.from_dict(checks.thawed(entry.card.architecture)))
    load_weights(network, load_state(entry))
    network.eval().requires_grad_(False)
    normalisation = Normalisation.from_dict(checks.thawed(entry.card.preprocessing["normalisation"]))

    def predict(tiles: Any) -> Any:
        from LungNoduleSegLib.inference.normalise import normalise

        with torch.inference_mode():
            return network(torch.from_numpy(normalise(tiles, normalisation)))[:, 0].sigmoid().numpy()

    predict.slices = network.config.input_slices  # type: ignore[attr-defined]
    return predict


def stopwatch() -> Any:
    """A function that gives the seconds since it was made."""
    start = time.perf_counter()
    return lambda: time.perf_counter() - start


def report(rows: list[dict[str, Any]], columns: list[str]) -> None:
    """Print rows as a Markdown table."""
    print("| " + " | ".join(columns) + " |")
    print("|" + "---|" * len(columns))
    for row in rows:
        print("| " + " | ".join(str(row.get(c, "")) for c in columns) + " |")


def write_json(path: Path | None, **content: Any) -> None:
    """Write the numbers behind a table, with the machine, where a file was named."""
    if path is not None:
        path.write_text(json.dumps({"machine": machine(), **content}, indent=2) + "\n")
