"""Everything but training works where PyTorch is not installed: ONNX Runtime or OpenVINO computes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from LungNoduleSegLib.inference.engines.cores import has_avx2
from Testing.cli.tiny import phantom, write_store

ROOT = Path(__file__).resolve().parents[1]

# torch and one of the others are here, but Python does not find them: as where they were never installed.
_WITHOUT = """
import sys
from importlib.machinery import PathFinder
sys.path.insert(0, {root!r})
class Without:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return None if name.split(".")[0] in ("torch", {other!r}) else PathFinder.find_spec(name, path, target)
sys.meta_path[:] = [Without if finder is PathFinder else finder for finder in sys.meta_path]
"""

_CHECK = """
import json
from LungNoduleSegLib.client.check import InstallationReport
from LungNoduleSegLib.client.probe import probe
report = InstallationReport.from_event(probe("tiny", "auto", 1, lambda *_: None, lambda: False))
assert report.ok, report.sentences()
print(json.dumps([report.missing, report.torch, report.engine, report.device, report.sentences()]))
"""

_REST = """
import pytest
from LungNoduleSegLib import load_segmenter
from LungNoduleSegLib.errors import InputError
for options in ({"engine": "torch"}, {"device": "cuda"}, {"precision": "float16"}):
    with pytest.raises(InputError, match="PyTorch"):
        load_segmenter("tiny", **options)
assert "torch" not in sys.modules
"""


@pytest.fixture(scope="module", params=["onnxruntime", "openvino"])
def engine(request):
    """What is there instead."""
    pytest.importorskip(request.param)
    if request.param == "openvino" and not has_avx2():
        pytest.skip("OpenVINO is taken on processors with AVX2")
    return request.param


@pytest.fixture(scope="module")
def python(tmp_path_factory, engine):
    """Runs code in a Python without PyTorch, which finds the model "tiny"; gives what it printed."""
    other = "openvino" if engine == "onnxruntime" else "onnxruntime"
    folder = tmp_path_factory.mktemp("weights")
    write_store(folder)
    environment = {**os.environ, "LUNGNODULESEG_WEIGHTS": str(folder)}

    def run(code: str) -> str:
        whole = _WITHOUT.format(root=str(ROOT), other=other) + code
        done = subprocess.run(
            [sys.executable, "-c", whole], env=environment, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_the_installation_is_complete(python, engine):
    missing, torch, used, device, sentences = json.loads(python(_CHECK).splitlines()[-1])
    assert (missing, torch, used, device) == ([], None, engine, "cpu")
    assert "All packages that a run needs are there." in sentences


def test_what_needs_torch_says_so(python):
    python(_REST)


def test_the_command_line_and_the_runner(python, engine, tmp_path):
    import SimpleITK as sitk

    path = tmp_path / "phantom.nrrd"
    sitk.WriteImage(phantom().to_sitk(), str(path), True)
    x, y, z = map(float, phantom().kji_to_ras((20.0, 85.0, 52.0)))
    words = ["click", str(path), "--ras", f"{x} {y} {z}", "--model", "tiny", "--output", str(tmp_path / "cli")]
    job = {"command": "click", "model": "tiny", "ct": str(path), "positive_ras": [[x, y, z]]}
    job["output"] = str(tmp_path / "result.npz")
    python(
        f"""
from LungNoduleSegLib.cli.app import app
try:
    app({words!r})
except SystemExit as ended:
    assert not ended.code, ended.code
from io import StringIO
from LungNoduleSegLib.runner import Channel, Worker
assert Worker(Channel(StringIO(), StringIO())).do({job!r}) == 0
assert "torch" not in sys.modules
"""
    )
    for record in (tmp_path / "cli" / "run.json", tmp_path / "result.json"):
        found = json.loads(record.read_text(encoding="utf-8"))
        assert found["parameters"]["engine"] == engine
        assert len(found["nodules"]) == 1
