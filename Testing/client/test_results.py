"""Results arrive in a process that has no torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from LungNoduleSegLib.client.results import load_event
from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.errors import InputError

ROOT = Path(__file__).resolve().parents[2]

_WITHOUT_TORCH = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "safetensors"):
            raise ImportError(f"{name} is not for the panel")
sys.meta_path.insert(0, Refuse())
sys.path.insert(0, sys.argv[1])
import numpy as np
from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.client import check, run, worker
from LungNoduleSegLib.client.results import load_event
with np.load(sys.argv[3]) as data:
    ct = CT.from_array(data["hu"], ijk_to_ras=data["ijk_to_ras"])
result = load_event({"event": "result", "npz": sys.argv[2], "json": sys.argv[2][:-4] + ".json"}, ct)["result"]
print(len(result.nodules), int((result.labels == 1).sum()))
"""


def test_the_panel_needs_no_torch(saved, ct, tmp_path):
    np.savez(tmp_path / "ct.npz", hu=ct.hu, ijk_to_ras=ct.ijk_to_ras)
    done = subprocess.run(
        [sys.executable, "-I", "-c", _WITHOUT_TORCH, str(ROOT), str(saved), str(tmp_path / "ct.npz")],
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert done.stdout.split() == ["1", "24"], done.stderr


def event_of(saved: Path, **fields: str) -> dict:
    return {"event": "result", "npz": str(saved), "json": str(saved.with_suffix(".json")), **fields}


def test_files_become_objects(saved, ct, tmp_path):
    values = np.random.default_rng(0).random(ct.shape).astype(np.float16)
    np.savez_compressed(tmp_path / "p.npz", probability=values)
    found = load_event(event_of(saved, probability=str(tmp_path / "p.npz"), headline="1 nodule"), ct)
    assert found["headline"] == "1 nodule" and found["record"] == {"command": "segment"}
    assert found["result"].ct is ct and len(found["result"].nodules) == 1
    np.testing.assert_array_equal(found["result"].probability(), values)
    assert load_event({"event": "result", "seconds": 1.0}, None) == {
        "event": "result", "seconds": 1.0, "result": None, "record": None,
    }  # fmt: skip


def test_what_does_not_fit_is_refused(saved, ct, tmp_path):
    with pytest.raises(InputError, match="another grid"):
        load_event(event_of(saved), CT.from_array(np.zeros((3, 4, 5))))
    np.savez(tmp_path / "other.npz", probability=np.zeros((2, 2, 2), np.float16))
    with pytest.raises(InputError, match="another grid"):
        load_event(event_of(saved, probability=str(tmp_path / "other.npz")), ct)
    (tmp_path / "damaged.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match="no probabilities"):
        load_event(event_of(saved, probability=str(tmp_path / "damaged.npz")), ct)
    with pytest.raises(InputError, match="no record"):
        load_event(event_of(saved, json=str(tmp_path / "absent.json")), ct)
