"""A model with a false-positive reduction in its weights: loaded, and heard in whole CTs and clicks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from LungNoduleSegLib import load_segmenter
from LungNoduleSegLib.errors import WeightsError
from LungNoduleSegLib.inference.reduction import Reduction, ReductionConfig
from LungNoduleSegLib.inference.scorer import STACK
from LungNoduleSegLib.segmenter import Segmenter
from LungNoduleSegLib.weights import Card, find, load_state, save_weights
from Testing.cli.tiny import NODULES, phantom, write_store
from Testing.inference.phantom import OracleEngine, thorax
from Testing.inference.test_orientation import turned

LAYERS = ReductionConfig(((1, 4, 4),), ((0, 0, 0),))
EVEN = {"features": ["peak"], "mean": [0.0], "scale": [1.0], "coefficients": [0.0], "intercept": 0.0}
"""A scorer to which all are equally likely: a logit of zero."""


def weights(bias: float, spread: float = 0.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "convolutions.0.weight": spread * rng.normal(size=(2, 1, 1, 4, 4)).astype(np.float32),
        "convolutions.0.bias": np.zeros(2, np.float32),
        "head.weight": np.array([1, -1, 2, 1], np.float32),
        "head.bias": np.array([bias], np.float32),
    }


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """The tiny model with a reduction that says 6 of everything."""
    write_store(tmp_path)
    monkeypatch.setenv("LUNGNODULESEG_WEIGHTS", str(tmp_path))
    entry = find("tiny")
    after = entry.card.to_dict()["postprocessing"] | {"candidate_scorer": EVEN, "reduction": LAYERS.to_dict()}
    save_weights(tmp_path, replace(entry.card, postprocessing=after), load_state(entry), weights(6.0))
    return tmp_path


def test_what_the_weights_hold_is_heard_in_whole_cts_and_clicks(tiny):
    segmenter, ct = load_segmenter("tiny", "cpu"), phantom()
    found = segmenter.segment(ct).nodules
    # The mean of 0 and 6.
    assert [n.probability for n in found] == pytest.approx([1 / (1 + np.exp(-3))] * len(NODULES))
    x, y, z = ct.kji_to_ras(np.array(NODULES[0][:3], float))
    (clicked,) = segmenter.click(ct, positive_ras=[(x, y, z)]).candidates
    assert clicked.features[STACK] == pytest.approx(6.0)
    assert clicked.probability == pytest.approx(1 / (1 + np.exp(-3)))


def test_weights_that_lack_what_the_card_describes_are_refused(tiny):
    card = Card.read(tiny / "tiny.json")
    plain = replace(card, postprocessing={**card.to_dict()["postprocessing"], "reduction": None})
    written = save_weights(tiny, plain, load_state(find("tiny")))
    wrong = replace(written, postprocessing=card.postprocessing)
    wrong.write(tiny / "tiny.json")
    with pytest.raises(WeightsError, match="do not fit its description in the card"):
        load_segmenter("tiny", "cpu")


def test_the_same_of_a_ct_whose_axes_lie_otherwise():
    ct, lung = thorax(balls=[(12, 110, 60, 4.0, 40), (25, 90, 160, 6.0, 50)])
    segmenter = Segmenter(OracleEngine(), reduction=Reduction(LAYERS, weights(0.0, 0.3)))
    plain = segmenter.segment(ct, lung_mask=lung, threshold=0.1).candidates
    order, flips = (2, 0, 1), (True, False, True)
    other = turned(ct, order, flips)
    other_lung = lung.transpose(order)[::-1, :, ::-1]
    found = segmenter.segment(other, lung_mask=other_lung, threshold=0.1).candidates
    logits = [c.features[STACK] for c in plain]
    assert len(set(np.round(logits, 3))) == 2
    assert [c.features[STACK] for c in found] == pytest.approx(logits, abs=1e-4)
