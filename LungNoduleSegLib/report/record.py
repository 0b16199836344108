"""``run.json``: what ran, on what, with what, and how long it took."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from LungNoduleSegLib import __version__
from LungNoduleSegLib.report.text import RESEARCH_USE, best_place, training_sentence

SCHEMA = 1
_PACKAGES = ("numpy", "scipy", "torch", "onnxruntime", "openvino", "SimpleITK", "pydicom", "safetensors", "pillow",
             "vtk", "slicer-core")  # fmt: skip


def versions() -> dict[str, str]:
    """Versions of the library, Python and the packages that a run may use; what is absent is left out."""
    found = {"LungNoduleSeg": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def cpu_name() -> str:
    """The processor as the system names it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def run_record(
    result: Any,
    *,
    command: str,
    started: datetime,
    seconds: Mapping[str, float],
    files: list[str],
    left_out: Mapping[str, str],
) -> dict[str, Any]:
    """The record of one run, ready for JSON.

    Parameters
    ----------
    result
        The run's result.
    command
        "segment" or "click".
    started
        With time zone.
    seconds
        By step, in addition to the result's own.
    files
        Names that the run wrote.
    left_out
        File name to the sentence that says why it was not written.
    """
    ct, best, place = result.ct, result.best, best_place(result)
    return {
        "schema": SCHEMA,
        "command": command,
        "notice": RESEARCH_USE,
        "versions": versions(),
        "machine": {"system": platform.platform(), "cpu": cpu_name(), "cpus": os.cpu_count()},
        "started": started.astimezone(timezone.utc).isoformat(timespec="seconds"),
        "seconds": {step: round(float(s), 3) for step, s in {**result.seconds, **seconds}.items()},
        "model": {"name": result.model, "sha256": result.model_sha256},
        "kind": result.kind,
        "threshold": result.threshold,
        "parameters": plain(result.parameters),
        "ct": {
            "source": _source(ct),
            "series_uid": ct.series_uid,
            "study_uid": ct.study_uid,
            "shape_kji": list(ct.shape),
            "spacing_mm_kji": list(ct.spacing_mm),
            "ijk_to_ras": np.asarray(ct.ijk_to_ras).tolist(),
        },
        "seen_in_training": result.seen_in_training,
        "warnings": [*filter(None, [training_sentence(result)]), *result.warnings],
        "highest_probability": {
            "voxel": None if best is None else {"probability": best[0], "ras_mm": best[1]},
            "candidate": asdict(place) if result.candidates and place is not None else None,
        },
        "candidates": len(result.candidates),
        "nodules": [plain(asdict(nodule)) for nodule in result.nodules],
        "files": files,
        "left_out": dict(left_out),
    }


def _source(ct) -> str:
    """The file that the CT came from, or the folder of its slices."""
    if not ct.source:
        return ""
    return str(ct.source[0] if len(ct.source) == 1 else Path(os.path.commonpath(ct.source)))


def plain(value: Any) -> Any:
    """The value in JSON's own types: numpy numbers, arrays, paths and tuples unpacked, what is not finite as None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if value is None or isinstance(value, (str, int, bool)):
        return value
    return str(value)


def write_json(path: Path, content: Any) -> None:
    """Writes UTF-8 JSON, indented, with a final line end."""
    path.write_text(json.dumps(plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
