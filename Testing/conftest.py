"""What every test shares: where the real data is, and how its absence is said."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

# OpenVINO tells its maker where it is imported. The library imports it without (inference/engines/packages.py), and a
# test that looks whether it is there does so too.
sys.modules.setdefault("openvino_telemetry", None)


@pytest.fixture(scope="session")
def lidc_data() -> Path:
    """Folder with the unpacked real LIDC-IDRI data; the test is skipped where it is absent."""
    folder = os.environ.get("LUNGNODULESEG_DATA")
    if not folder:
        pytest.skip("LUNGNODULESEG_DATA is not set: it names the folder with the unpacked LIDC-IDRI data")
    path = Path(folder)
    if not (path / "LIDC-IDRI").is_dir():
        pytest.skip(f"LUNGNODULESEG_DATA={folder} holds no LIDC-IDRI folder")
    return path
