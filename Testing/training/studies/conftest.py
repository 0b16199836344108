"""Small material for studies: a patient on each side, discs to find, one scan."""

from __future__ import annotations

import pytest
import torch

from Testing.training.synthetic import TEST, TRAIN, VALIDATION, disc_crops, made_scan
from training.studies.plan import Settings
from training.studies.runner import Material


@pytest.fixture(autouse=True, scope="package")
def one_thread():
    """Networks this small gain nothing from more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="package")
def material() -> Material:
    return Material(disc_crops((TRAIN, VALIDATION, TEST)), [made_scan()])


@pytest.fixture(scope="package")
def tiny() -> Settings:
    """One batch, two channels, 32-px windows."""
    return Settings(samples=4, batch_size=4, width=2, px=32)
