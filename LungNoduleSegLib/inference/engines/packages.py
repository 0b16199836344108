"""Packages of the engines, imported without what they would tell others."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

_REPORTS = "openvino_telemetry"
"""Tells OpenVINO's maker over the network that it was imported, and leaves files in the home folder. Nothing of what
runs here may do so. OpenVINO works without it: it is meant to be left out."""


def imported(package: str) -> ModuleType:
    """A package, as `import` gives it; OpenVINO without its reports."""
    if package != "openvino" or package in sys.modules:
        return importlib.import_module(package)
    missing = object()
    before: Any = sys.modules.get(_REPORTS, missing)
    sys.modules[_REPORTS] = None  # type: ignore[assignment]
    try:
        return importlib.import_module(package)
    finally:
        if before is missing:
            del sys.modules[_REPORTS]
        else:
            sys.modules[_REPORTS] = before


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
