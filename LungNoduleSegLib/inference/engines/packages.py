"""Packages of the engines, imported without what they would tell others."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from types import ModuleType
from typing import Any

_REPORTS = "openvino_telemetry"
"""Tells OpenVINO's maker over the network that it was imported, and leaves files in the home folder. Nothing of what
runs here may do so. OpenVINO works without it: it is meant to be left out."""


_LOCK = threading.Lock()
_begun: set[str] = set()


def imported(package: str) -> ModuleType:
    """A package, as `import` gives it; OpenVINO without its reports, and ready for threads."""
    if package != "openvino":
        return importlib.import_module(package)
    with _LOCK:
        module = _without_reports(package)
        if package not in _begun:
            _first_call(module)
            _begun.add(package)
    return module


def _without_reports(package: str) -> ModuleType:
    if package in sys.modules:
        return importlib.import_module(package)
    missing = object()
    before: Any = sys.modules.get(_REPORTS, missing)
    sys.modules[_REPORTS] = None  # type: ignore[assignment]
    try:
        return importlib.import_module(package)
    finally:
        if before is missing:
            sys.modules.pop(_REPORTS, None)
        else:
            sys.modules[_REPORTS] = before


def _first_call(openvino: Any) -> None:
    """Two threads that look into a tensor for the first time in a process can wait for each other without end.

    Seen with OpenVINO 2026.4: 26 of 40 processes with four threads; none of 25 where one had looked before.
    """
    import numpy as np

    _ = openvino.Tensor(np.zeros(1, np.float32)).data


def last_line(error: BaseException) -> str:
    """What an error says in the end: OpenVINO's begin with the places in its code."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def reason_not_loaded(package: str) -> str:
    """Why a package cannot be imported, as the end of a sentence that begins with its name; "" if it can."""
    if importlib.util.find_spec(package) is None:
        return "is not installed"
    try:
        imported(package)
    except Exception as error:  # a damaged package raises many kinds
        lines = str(error).splitlines()
        return f"cannot be loaded ({type(error).__name__}: {lines[0] if lines else 'no message'})"
    return ""
