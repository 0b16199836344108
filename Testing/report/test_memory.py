"""Peak memory of a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_CODE = """
import sys
sys.path.insert(0, sys.argv[1])
from LungNoduleSegLib.report.memory import peak_memory_mb
before = peak_memory_mb()
held = b"x" * (200 * 2**20)
after = peak_memory_mb()
del held
print(before, after, peak_memory_mb())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="written for Windows too, not run there yet")
def test_it_grows_with_what_is_held_and_never_falls():
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run([sys.executable, "-c", _CODE, root], capture_output=True, text=True, check=True)
    before, after, later = map(float, done.stdout.split())
    assert 5 < before < 200
    assert 190 < after - before < 260
    assert later >= after - 1  # counted in batches of pages
