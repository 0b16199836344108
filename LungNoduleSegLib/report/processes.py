"""What helper processes of this library are started with."""

from __future__ import annotations

import os
from pathlib import Path


def library_environment() -> dict[str, str]:
    """The environment with this library importable, from a checkout as well."""
    root = str(Path(__file__).resolve().parents[2])
    before = [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
    return {**os.environ, "PYTHONPATH": os.pathsep.join([root, *before]), "PYTHONIOENCODING": "utf-8"}
