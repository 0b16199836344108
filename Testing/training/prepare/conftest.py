"""Made-up scans have no lungs: half of the volume stands for them."""

from __future__ import annotations

import numpy as np
import pytest

from training.data import scans
from training.prepare import run, work


@pytest.fixture
def lungs(monkeypatch):
    def half(ct):
        mask = np.zeros(ct.shape, bool)
        mask[:, :, ct.shape[2] // 2 :] = True
        return mask

    monkeypatch.setattr(scans, "lung_mask", half)
    monkeypatch.setattr(work, "lung_mask", half)


@pytest.fixture
def database(monkeypatch):
    """A function that makes the given scans the database of annotations."""
    return lambda *scans: monkeypatch.setattr(run, "read_scans", lambda: list(scans))
