"""0.5 BCE + Dice against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from training.engine.losses import WholeBatch, bce_dice_loss

LN2 = math.log(2)
SURE = 60.0  # a logit whose sigmoid is 0 or 1 in float32


def undecided(*shape: int) -> torch.Tensor:
    """Logits of probability one half."""
    return torch.zeros(shape[0], 1, *shape[1:])


def labels(rows: list) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.uint8)


def test_one_nodule_pixel_of_four_at_probability_one_half():
    # Overlap 0.5, sum of probabilities 2, truth 1: Dice = (1 + 1) / (3 + 1).
    loss = bce_dice_loss(undecided(1, 2, 2), labels([[[1, 0], [0, 0]]]))
    assert loss.item() == pytest.approx(0.5 * LN2 + 0.5)


def test_empty_truth_counts_what_is_predicted():
    # No overlap, probabilities 2: Dice = 1 / (2 + 1).
    loss = bce_dice_loss(undecided(1, 2, 2), labels([[[0, 0], [0, 0]]]))
    assert loss.item() == pytest.approx(0.5 * LN2 + 2 / 3)


@pytest.mark.parametrize("truth", [[[0, 0], [0, 0]], [[1, 0], [1, 1]], [[1, 1], [1, 1]]])
def test_a_sure_and_right_prediction_costs_nothing(truth):
    target = labels([truth])
    loss = bce_dice_loss((2 * target[:, None].float() - 1) * SURE, target)
    assert loss.item() == pytest.approx(0, abs=1e-6)


def test_a_false_component_in_an_empty_image_is_punished_almost_fully():
    logits = torch.full((1, 1, 8, 8), -SURE)
    logits[0, 0, 2:5, 2:5] = SURE
    # Nine false pixels: 1 - 1 / (9 + 1).
    loss = bce_dice_loss(logits, torch.zeros(1, 8, 8, dtype=torch.uint8), bce_weight=0)
    assert loss.item() == pytest.approx(0.9)


def test_left_out_pixels_count_in_neither_term():
    target = labels([[[1, 0], [0, 255]]])
    # Three pixels: BCE ln 2; overlap 0.5, probabilities 1.5, truth 1.
    assert bce_dice_loss(undecided(1, 2, 2), target).item() == pytest.approx(0.5 * LN2 + 1 - 2 / 3.5)
    logits = undecided(1, 2, 2).requires_grad_()
    bce_dice_loss(logits, target, positive_weight=3).backward()
    assert logits.grad[0, 0, 1, 1] == 0
    assert (logits.grad[0, 0].flatten()[:3] != 0).all()


def test_an_image_that_is_left_out_entirely_costs_nothing():
    loss = bce_dice_loss(undecided(1, 2, 2), torch.full((1, 2, 2), 255, dtype=torch.uint8))
    assert loss.item() == 0


def test_dice_per_image_and_over_the_batch():
    # One image right, one empty with four undecided pixels.
    logits = torch.tensor([[[[SURE, -SURE], [-SURE, -SURE]]], [[[0.0, 0.0], [0.0, 0.0]]]])
    target = labels([[[1, 0], [0, 0]], [[0, 0], [0, 0]]])
    per_image = bce_dice_loss(logits, target, bce_weight=0)
    batch = bce_dice_loss(logits, target, bce_weight=0, per_image=False)
    assert per_image.item() == pytest.approx((0 + 2 / 3) / 2)
    assert batch.item() == pytest.approx(1 - (2 * 1 + 1) / (1 + 2 + 1 + 1))


def test_positive_weight_multiplies_nodule_pixels_only():
    target = labels([[[1, 0], [0, 0]]])
    plain, weighted = (bce_dice_loss(undecided(1, 2, 2), target, positive_weight=w).item() for w in (1, 3))
    assert weighted - plain == pytest.approx(0.5 * (2 * LN2) / 4)


def test_smoothing_is_in_numerator_and_denominator():
    loss = bce_dice_loss(undecided(1, 2, 2), labels([[[1, 0], [0, 0]]]), bce_weight=0, smoothing=5)
    assert loss.item() == pytest.approx(1 - (1 + 5) / (3 + 5))


def test_half_precision_logits_are_summed_in_float32():
    torch.manual_seed(0)
    logits = torch.randn(2, 1, 64, 64).bfloat16()
    target = (torch.rand(2, 64, 64) < 0.1).to(torch.uint8)
    assert bce_dice_loss(logits, target).item() == bce_dice_loss(logits.float(), target).item()


def test_gradient_of_both_terms_by_differences():
    torch.manual_seed(0)
    logits = torch.randn(2, 1, 3, 3, dtype=torch.float64)
    target = labels([[[1, 0, 0], [0, 1, 255], [0, 0, 0]], [[0, 0, 0]] * 3])
    at = logits.clone().requires_grad_()
    bce_dice_loss(at, target, positive_weight=2).backward()
    step = 1e-2  # the loss is computed in float32
    for place in [(0, 0, 0, 0), (0, 0, 1, 2), (1, 0, 2, 1)]:
        shifted = [logits.clone(), logits.clone()]
        shifted[0][place] -= step
        shifted[1][place] += step
        low, high = (bce_dice_loss(s, target, positive_weight=2).item() for s in shifted)
        assert at.grad[place].item() == pytest.approx((high - low) / (2 * step), abs=1e-4)


def batch_of_five() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    target = (torch.rand(5, 6, 6) < 0.2).to(torch.uint8)
    target[1] = 0
    target[2, :3] = 255
    return torch.randn(5, 1, 6, 6), target


@pytest.mark.parametrize(
    "parts", [[slice(0, 3), slice(3, 5)], [slice(0, 5, 2), slice(1, 5, 2)], [slice(0, 1), slice(1, 5)]]
)
def test_parts_add_up_to_the_batch(parts):
    """Parts of different sizes, with different numbers of pixels left out: the mean of their own losses is another."""
    logits, target = batch_of_five()
    at = logits.clone().requires_grad_()
    bce_dice_loss(at, target, positive_weight=2).backward()
    whole = WholeBatch(5, (target != 255).sum())
    split = logits.clone().requires_grad_()
    shares = [bce_dice_loss(split[p], target[p], positive_weight=2, whole=whole) for p in parts]
    sum(shares).backward()
    assert sum(shares).item() == pytest.approx(bce_dice_loss(logits, target, positive_weight=2).item(), rel=1e-6)
    torch.testing.assert_close(split.grad, at.grad)
    own = sum(bce_dice_loss(logits[p], target[p], positive_weight=2).item() for p in parts) / 2
    assert own != pytest.approx(bce_dice_loss(logits, target, positive_weight=2).item(), rel=1e-3)


def test_a_dice_over_the_batch_of_two_processes():
    """Each process knows the others' sums, not their gradients."""
    logits, target = batch_of_five()
    parts = [slice(0, 5, 2), slice(1, 5, 2)]
    probability = torch.sigmoid(logits[:, 0]) * (target != 255)
    sums = [torch.stack([(probability[p] * (target[p] == 1)).sum(), probability[p].sum() + (target[p] == 1).sum()])
            for p in parts]  # fmt: skip
    at, split = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    expected = bce_dice_loss(at, target, per_image=False)
    expected.backward()
    shares = []
    for number, part in enumerate(parts):
        whole = WholeBatch(5, (target != 255).sum(), 2, lambda own, other=sums[1 - number]: own + other)
        shares.append(bce_dice_loss(split[part], target[part], per_image=False, whole=whole))
    sum(shares).backward()
    assert sum(shares).item() == pytest.approx(expected.item(), rel=1e-6)
    torch.testing.assert_close(split.grad, at.grad)
