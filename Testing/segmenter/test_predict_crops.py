"""Crops in, probabilities out, whatever their scale."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.engines.torch_engine import TorchEngine
from LungNoduleSegLib.networks import MEMBERS, build, scaled
from LungNoduleSegLib.segmenter import Segmenter
from Testing.inference.phantom import OracleEngine


@pytest.fixture(scope="module", params=["model-1-compact", "model-2"])
def segmenter(request):
    torch.manual_seed(0)
    network = build(scaled(MEMBERS[request.param], 4 if request.param == "model-2" else 8)).eval()
    with torch.no_grad():
        network.head.weight *= 10
    return Segmenter(TorchEngine(network, device="cpu", precision="float32"))


@pytest.fixture
def crops():
    return np.random.default_rng(0).integers(-1000, 500, (3, 128, 128)).astype(np.int16)


def test_a_single_slice_is_repeated(segmenter, crops):
    found = segmenter.predict_crops(crops)
    assert found.shape == (3, 128, 128) and found.dtype == np.float32
    assert np.ptp(found) > 0.05 and found.min() >= 0 and found.max() <= 1
    repeated = np.repeat(crops[:, None], segmenter.input_slices, axis=1)
    np.testing.assert_array_equal(segmenter.predict_crops(repeated), found)


def test_eight_bits_and_hu_give_the_same(segmenter, crops):
    """The published crops are HU stretched to 0..255."""
    hu = segmenter.predict_crops(crops)
    low, high = int(crops.min()), int(crops.max())
    grey = (crops.astype(float) - low) / (high - low) * 255
    np.testing.assert_allclose(segmenter.predict_crops(grey), hu, atol=1e-3)
    # Rounded to whole grey levels it is the same but for the rounding.
    rounded = segmenter.predict_crops(np.rint(grey).astype(np.uint8))
    assert np.abs(rounded - hu).mean() < 0.02
    np.testing.assert_array_equal(segmenter.predict_crops(np.rint(grey)), rounded)


def test_weak_contrast_in_eight_bits_is_stretched_like_strong(segmenter, crops):
    low, high = int(crops.min()), int(crops.max())
    weak = (crops.astype(float) - low) / (high - low) * 60 + 100
    np.testing.assert_allclose(segmenter.predict_crops(weak), segmenter.predict_crops(crops), atol=1e-3)


@pytest.mark.parametrize(
    "crops",
    [
        np.zeros((128, 128)),
        np.zeros((2, 64, 64)),
        np.zeros((2, 5, 128, 128)),
        np.zeros((2, 128, 128), bool),
        np.full((1, 128, 128), np.nan),
        np.full((1, 128, 128), "a"),
    ],
)
def test_what_is_no_crop_is_refused(segmenter, crops):
    with pytest.raises(InputError, match="Expected argument `crops`"):
        segmenter.predict_crops(crops)


def test_none_is_fine(segmenter):
    assert segmenter.predict_crops(np.zeros((0, 128, 128))).shape == (0, 128, 128)


def test_hu_is_clipped_before_it_is_normalised():
    segmenter = Segmenter(OracleEngine())
    seen = []
    segmenter.engine.predict = lambda tiles, min_range=None: (
        seen.append((tiles.min(), tiles.max(), min_range)) or np.zeros((len(tiles), 128, 128), np.float32)
    )
    crops = np.zeros((1, 128, 128), np.int32)
    crops[0, 0, 0], crops[0, 0, 1] = -3000, 30000
    segmenter.predict_crops(crops)
    segmenter.predict_crops(np.full((1, 128, 128), 200, np.uint8))
    assert seen == [(-1024, 3071, None), (200, 200, 1.0)]
