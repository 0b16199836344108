"""The false-positive reduction computed with numpy, and its say in a candidate's score."""

from __future__ import annotations

import numpy as np
import pytest

from LungNoduleSegLib.errors import Cancelled, WeightsError
from LungNoduleSegLib.inference.reduction import Reduction, ReductionConfig, reduction_of, views
from LungNoduleSegLib.inference.scorer import LEAST_REDUCED, STACK, CandidateScorer, score
from LungNoduleSegLib.inference.settings import SearchSettings
from LungNoduleSegLib.inference.stack import SLICES, STACK_PX
from LungNoduleSegLib.inference.whole_ct import search
from Testing.inference.phantom import OracleEngine, thorax

CONFIG = ReductionConfig(((1, 2, 2), (2, 1, 1)), ((0, 1, 1), (1, 0, 0)))


def weights(seed=0):
    rng = np.random.default_rng(seed)
    shapes = {
        "convolutions.0.weight": (3, 1, 1, 3, 3),
        "convolutions.0.bias": (3,),
        "convolutions.1.weight": (4, 3, 3, 1, 1),
        "convolutions.1.bias": (4,),
        "head.weight": (8,),
        "head.bias": (1,),
    }
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def test_it_computes_what_pytorch_does():
    torch = pytest.importorskip("torch")
    from torch.nn.functional import conv3d

    own = weights()
    stacks = np.random.default_rng(1).normal(size=(3, SLICES, 16, 16)).astype(np.float32)
    x = torch.from_numpy(stacks)[:, None]
    for n, (stride, padding) in enumerate(zip(CONFIG.strides, CONFIG.paddings)):
        layer = [torch.from_numpy(own[f"convolutions.{n}.{part}"]) for part in ("weight", "bias")]
        x = torch.relu(conv3d(x, *layer, stride, padding))
    x = x.mean(dim=2).numpy()
    pooled = np.concatenate([x.mean(axis=(2, 3)), x[:, :, 2:6, 2:6].mean(axis=(2, 3))], axis=1)
    np.testing.assert_allclose(
        Reduction(CONFIG, own).logits(stacks), pooled @ own["head.weight"] + own["head.bias"], rtol=1e-4, atol=1e-5
    )


def test_the_logit_is_the_mean_over_eight_views():
    reduction = Reduction(CONFIG, weights())
    stack = np.random.default_rng(2).normal(size=(SLICES, STACK_PX, STACK_PX)).astype(np.float32)
    seen = views(stack)
    assert len({view.tobytes() for view in seen}) == 8
    np.testing.assert_array_equal(seen[0], stack)
    assert all(np.array_equal(np.sort(view.ravel()), np.sort(stack.ravel())) for view in seen)
    each = [float(reduction.logits(view[None])[0]) for view in seen]
    assert reduction.of_stack(stack) == pytest.approx(np.mean(each), rel=1e-5)
    assert reduction.of_stack(stack[::-1]) == pytest.approx(reduction.of_stack(stack), rel=1e-5)
    with pytest.raises(ValueError, match="`stack`"):
        reduction.of_stack(stack[:3])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"head.bias": None}, "head.bias"),
        ({"convolutions.2.bias": np.zeros(3, np.float32)}, "convolutions.2.bias"),
        ({"convolutions.1.weight": np.zeros((4, 2, 3, 1, 1), np.float32)}, "layer 1 takes 3 channels"),
        ({"head.weight": np.zeros(7, np.float32)}, "takes 8 numbers"),
    ],
)
def test_weights_that_do_not_fit(change, said):
    with pytest.raises(WeightsError, match=said):
        Reduction(CONFIG, {name: value for name, value in {**weights(), **change}.items() if value is not None})


def test_layers_that_no_stack_is_large_enough_for():
    wide = {**weights(), "convolutions.0.weight": np.zeros((3, 1, 9, 3, 3), np.float32)}
    with pytest.raises(WeightsError, match="a stack of 5 x 64 x 64 is too small"):
        reduction_of(CONFIG.to_dict(), wide)


def test_its_description_in_a_card():
    assert ReductionConfig.from_dict(CONFIG.to_dict()) == CONFIG
    assert reduction_of(None, weights()) is None
    assert reduction_of(CONFIG.to_dict(), weights()).config == CONFIG
    for wrong in ({"strides": [[1, 2]], "paddings": [[0, 0, 0]]}, {"strides": [[1, 1, 1]], "paddings": []}, {"a": []}):
        with pytest.raises(WeightsError, match="this version does not know"):
            reduction_of(wrong, {})


SCORER = CandidateScorer(("peak",), (0.0,), (1.0,), (1.0,), 0.0)


def test_score_is_the_mean_of_the_logits():
    # The scorer's logit is the peak; (1 + 3) / 2 = 2.
    assert score({"peak": 1.0, STACK: 3.0}, SCORER) == pytest.approx(1 / (1 + np.exp(-2)))
    assert score({"peak": 1.0}, SCORER) == pytest.approx(1 / (1 + np.exp(-1)))


def test_where_the_scorer_is_sure_that_it_is_nothing_that_stands():
    hopeless = float(np.log(LEAST_REDUCED / (1 - LEAST_REDUCED))) - 0.01
    assert score({"peak": hopeless, STACK: 9.0}, SCORER) == pytest.approx(LEAST_REDUCED, abs=1e-3)
    assert score({"peak": hopeless + 0.02, STACK: 9.0}, SCORER) > 0.9


def test_without_a_scorer_it_is_a_feature_alone():
    ct, lung = thorax(balls=[(12, 110, 60, 4.0, 40)])
    plain, both = (search(OracleEngine(), ct, lung=lung, reduction=r).candidates for r in (None, Asked()))
    assert both[0].features[STACK] == -4.0 and both[0].probability == plain[0].probability


class Asked:
    """A reduction that likes what lies in the upper half of a CT, and remembers of what it was asked."""

    def __init__(self):
        self.places = []

    def __call__(self, ct, offset_kji, mask):
        self.places.append(offset_kji)
        return 4.0 if offset_kji[0] > 18 else -4.0


def test_a_search_asks_it_of_its_candidates():
    ct, lung = thorax(balls=[(12, 110, 60, 4.0, 40), (25, 90, 160, 4.0, 50)])
    asked = Asked()
    even = CandidateScorer(("peak",), (0.0,), (1.0,), (0.0,), 0.0)
    found = search(OracleEngine(), ct, lung=lung, scorer=even, reduction=asked).candidates
    assert len(found) == len(asked.places) == 2
    assert [c.probability for c in found] == pytest.approx([1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2))])
    assert [c.features[STACK] for c in found] == [4.0, -4.0] and found[0].offset_kji[0] > 18
    asked = Asked()
    everything = SearchSettings(least_screened=0.0, least_probability=0.0)
    unlikely = CandidateScorer(("peak",), (0.0,), (1.0,), (0.0,), -4.1)
    found = search(OracleEngine(), ct, everything, lung=lung, scorer=unlikely, reduction=asked).candidates
    assert len(found) == 2 and not asked.places and STACK not in found[0].features


def test_cancel_and_progress_while_it_judges():
    ct, lung = thorax(balls=[(12, 110, 60, 4.0, 40), (25, 90, 160, 4.0, 50)])
    told, asked = [], Asked()

    def cancel():
        return len(asked.places) == 1

    with pytest.raises(Cancelled):
        search(OracleEngine(), ct, lung=lung, reduction=asked, progress=lambda *a: told.append(a), cancel=cancel)
    assert len(asked.places) == 1 and told[-1] == (pytest.approx(0.95), "Judging candidates")
