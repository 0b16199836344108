"""Import modules of reference packages, where they are installed, beside a torchvision that fits no build of torch."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

import pytest

from training.metrics.torchvision_operators import declare_operators


def reference(module: str) -> ModuleType:
    """Import a module of a reference package; the test is skipped where the package is not installed."""
    package = module.partition(".")[0]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} (extra `test`) is not installed")
    declare_operators()
    return importlib.import_module(module)
