"""What is there for a run, found out in the Python that is to run it; works without any package."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import sys
import time
from collections.abc import Callable
from typing import Any

from LungNoduleSegLib.client.requirements import BROUGHT_BY_SLICER, ENGINES, REQUIREMENTS, missing_engine
from LungNoduleSegLib.errors import Cancelled, LungNoduleSegError
from LungNoduleSegLib.inference.engines.cores import nvidia_driver, usable_cores
from LungNoduleSegLib.inference.engines.packages import imported

_REPEATS = 3
"""Batches that are timed after a first one; the fastest counts, because the machine does other things too."""


def probe(
    model: str | None,
    device: str,
    threads: int | None,
    progress: Callable[[float, str], None],
    cancel: Callable[[], bool],
    *,
    engine: str = "auto",
) -> dict[str, Any]:
    """Look at packages and devices, and try the model.

    Parameters
    ----------
    model, device, threads, engine
        What a run would be given; without a model none is loaded.
    progress, cancel
        ``progress(fraction, message)``; ``cancel()`` is asked between the steps.

    Returns
    -------
    The fields of :class:`~LungNoduleSegLib.client.check.InstallationReport`, as JSON's types.

    Raises
    ------
    Cancelled
    """

    def step(fraction: float, message: str) -> None:
        if cancel():
            raise Cancelled("cancelled")
        progress(fraction, message)

    step(0.0, "Looking at the packages")
    needed = [*BROUGHT_BY_SLICER, *ENGINES, *REQUIREMENTS]
    absent = [name for name in needed if importlib.util.find_spec(name) is None]
    wanted = missing_engine([name for name in ENGINES if name not in absent], device)
    missing = [name for name in absent if name not in ENGINES or name == wanted]
    found: dict[str, Any] = {
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "packages": {name: None if name in absent else _version(name) for name in needed},
        "missing": missing,
        "broken": {},
        "torch": None,
        "onnxruntime": None,
        "openvino": None,
        "engine": None,
        "devices": [],
        "cpu": _cpu_name(),
        "threads": os.cpu_count() or 1,
        "precision": None,
        "seconds_a_tile_batch": None,
        "tiles_a_batch": None,
        "model": model,
        "device": None,
        "problem": "",
        "advice": "",
    }
    for n, name in enumerate(name for name in needed if name not in absent):
        step(0.05 + 0.4 * n / len(needed), f"Loading {name}")
        try:
            imported(name)
        except Exception as error:  # whatever a damaged package raises, it is a finding
            found["broken"][name] = _reason(error)
    usable = [name for name in ENGINES if name not in absent and name not in found["broken"]]
    for name in ("onnxruntime", "openvino"):
        if name in usable:
            found[name] = str(sys.modules[name].__version__).partition("-")[0]
            found["threads"] = threads or usable_cores()
    if "torch" in usable:
        torch = sys.modules["torch"]
        if threads:
            torch.set_num_threads(threads)  # type: ignore[attr-defined]
        found["torch"] = str(torch.__version__)
        found["threads"] = torch.get_num_threads()  # type: ignore[attr-defined]
    if missing or not usable or set(found["broken"]) - set(ENGINES):
        return found
    step(0.5, "Trying the devices")
    if "torch" in usable:
        found["devices"] = _devices(sys.modules["torch"])
    if model:
        step(0.6, f"Loading {model}")
        try:
            found.update(_measured(model, device, threads, engine, step))
        except Cancelled:
            raise
        except LungNoduleSegError as error:
            found["problem"] = str(error)
        except Exception as error:  # the report is for finding out what does not work
            found["problem"] = f"{model} cannot be run ({_reason(error)})."
    step(1.0, "")
    return found


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "of unknown version"


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"


def _cpu_name() -> str:
    try:
        from LungNoduleSegLib.report.record import cpu_name
    except ImportError:  # it needs numpy
        return platform.processor() or platform.machine()
    return cpu_name()


def _devices(torch: Any) -> list[dict[str, Any]]:
    from LungNoduleSegLib.inference.engines.device import available, failure

    def tried(name: str, title: str) -> dict[str, Any]:
        reason = failure(torch.device(name))
        return {"name": name, "title": title, "usable": reason is None, "reason": reason or ""}

    def refused(name: str, reason: str) -> dict[str, Any]:
        return {"name": name, "title": "", "usable": False, "reason": reason}

    devices = [tried("cpu", _cpu_name())]
    if available("cuda"):
        devices += [tried(f"cuda:{n}", torch.cuda.get_device_name(n)) for n in range(torch.cuda.device_count())]
    elif torch.version.cuda is None and getattr(torch.version, "hip", None) is None:
        if nvidia_driver():
            devices.append(refused("cuda", "this build of PyTorch has no CUDA although an NVIDIA driver is here"))
    elif nvidia_driver():
        devices.append(refused("cuda", _cuda_error(torch)))
    if available("mps"):
        devices.append(tried("mps", "Metal"))
    elif sys.platform == "darwin":
        devices.append(refused("mps", "this build of PyTorch finds no Metal device"))
    return devices


def _cuda_error(torch: Any) -> str:
    try:
        torch.cuda.init()
    except Exception as error:  # whatever the driver raises says why
        return _reason(error)
    return "PyTorch finds no CUDA device"


def _measured(
    model: str, device: str, threads: int | None, chosen: str, step: Callable[[float, str], None]
) -> dict[str, Any]:
    import numpy as np

    from LungNoduleSegLib.segmenter import load_segmenter

    engine: Any = load_segmenter(model, device, threads=threads, engine=chosen).engine
    rng = np.random.default_rng(0)
    shape = (engine.batch_size, engine.input_slices, engine.tile_px, engine.tile_px)
    tiles = rng.normal(-850, 60, shape).astype(np.int16)  # lung tissue; what is in a tile does not change its time
    seconds = []
    for n in range(1 + _REPEATS):
        step(0.8 + 0.05 * n, "Measuring the speed")
        begun = time.perf_counter()
        engine.predict(tiles)
        seconds.append(time.perf_counter() - begun)
    return {
        "precision": engine.precision,
        "device": engine.device,
        "engine": engine.name,
        "seconds_a_tile_batch": min(seconds[1:]),
        "tiles_a_batch": len(tiles),
        "problem": " ".join(engine.warnings),
        "advice": engine.remark.removeprefix("; "),
    }
