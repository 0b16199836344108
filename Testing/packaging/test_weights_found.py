"""Weights are found, and predict the same, from a checkout, an installed wheel and the installed extension."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from Testing.packaging.product import ROOT, run, shipped_models

_PREDICT = """
import json, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
import LungNoduleSegLib
from LungNoduleSegLib import load_segmenter
names = json.loads(sys.argv[4])
crops = np.load(sys.argv[2])
# "auto" chooses by a measurement, which may fall out differently in the next process; here results are compared.
fixed = {"device": "cpu", "precision": "float32", "threads": 1}
np.savez(sys.argv[3], **{name: load_segmenter(name, **fixed).predict_crops(crops) for name in names})
print(LungNoduleSegLib.__file__)
"""

PLACES = ("checkout", "wheel", "extension")


@pytest.fixture(scope="session")
def crops() -> np.ndarray:
    """Two crops (2, 128, 128), HU: a round solid nodule of 12 px in noisy lung, at the centre and off it."""
    rng = np.random.default_rng(7)
    row, column = np.mgrid[:128, :128]
    images = []
    for centre in ((64, 64), (58, 70)):
        distance = np.hypot(row - centre[0], column - centre[1])
        nodule = 1 / (1 + np.exp((distance - 6) / 0.7))
        images.append(-850 + 880 * nodule + rng.normal(0, 25, distance.shape))
    return np.stack(images).astype(np.float32)


@pytest.fixture(scope="session")
def predictions(request: pytest.FixtureRequest, crops: np.ndarray, tmp_path_factory: pytest.TempPathFactory):
    """Place -> model -> probability (2, 128, 128), each place in a fresh process that sees only its own library."""
    models = shipped_models()
    assert {"model-1-compact", "model-2-compact"} <= set(models)
    folders = {
        "checkout": ROOT,
        "wheel": request.getfixturevalue("installed_wheel"),
        "extension": request.getfixturevalue("installed_extension") / "lib/Slicer-5.12/qt-scripted-modules",
    }
    environment = request.getfixturevalue("isolated_environment")
    work = tmp_path_factory.mktemp("predictions")
    np.save(work / "crops.npy", crops)
    found: dict[str, dict[str, np.ndarray]] = {}
    for place, folder in folders.items():
        output = work / f"{place}.npz"
        words = (folder, work / "crops.npy", output, json.dumps(models))
        library = run(sys.executable, "-I", "-B", "-c", _PREDICT, *words, cwd=work, env=environment).strip()
        assert Path(library) == folder / "LungNoduleSegLib" / "__init__.py"
        with np.load(output) as arrays:
            found[place] = {name: arrays[name] for name in models}
    return found


@pytest.mark.parametrize("place", PLACES)
def test_prediction_finds_the_nodule(predictions, crops: np.ndarray, place: str):
    for model, probability in predictions[place].items():
        assert probability.shape == crops.shape, model
        assert probability.dtype == np.float32, model
        assert probability[0, 64, 64] > 0.5, model
        assert probability[1, 58, 70] > 0.5, model
        assert probability[:, :16, :16].max() < 0.5, model


@pytest.mark.parametrize("place", PLACES[1:])
def test_prediction_is_the_same_as_from_the_checkout(predictions, place: str):
    for model, probability in predictions[place].items():
        np.testing.assert_array_equal(probability, predictions["checkout"][model], err_msg=model)
