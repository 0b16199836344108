"""The false-positive reduction learns, ships as it was trained, and is kept by the patients that it left out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.reduction import Reduction
from LungNoduleSegLib.inference.stack import SLICES, STACK_PX
from Testing.training.synthetic import disc
from training.reduction.examples import BESIDE, FALSE, FOUND, MARGIN_PX, NODULE, Examples
from training.reduction.fit import FitConfig, _targets, augmented, fit
from training.reduction.network import ReductionNetwork, folded
from training.reduction.store import read_about, read_weights, reduction_without, write_about, write_reduction


def examples(count=40, seed=0):
    """Nodules are discs in the middle slices' middle, what is none are bars through all of the stack."""
    rng = np.random.default_rng(seed)
    kinds = np.array([NODULE, BESIDE, FOUND, FALSE] * (count // 4), "<U16")
    stacks = rng.normal(0.1, 0.02, (count, SLICES, MARGIN_PX, MARGIN_PX))
    for stack, kind in zip(stacks, kinds):
        if kind in (NODULE, FOUND):
            stack[:, disc(MARGIN_PX, MARGIN_PX / 2, MARGIN_PX / 2, 7)] = 0.9
        else:
            stack[:, 33:39] = 0.9
    readers = np.where(np.isin(kinds, (NODULE, FOUND)), 4, 0)
    return Examples(stacks.astype(np.float16), kinds, readers, np.array(["P"] * count))


def test_it_learns_and_ships_as_it_was_trained():
    network = fit(examples(), FitConfig(steps=25, batch_size=16, width=4, learning_rate=1e-2))
    unseen = examples(16, seed=1)
    margin = (MARGIN_PX - STACK_PX) // 2
    stacks = unseen.stacks[:, :, margin:-margin, margin:-margin].astype(np.float32)
    with torch.inference_mode():
        logits = network(torch.from_numpy(stacks)).numpy()
    nodule = unseen.readers > 0
    assert logits[nodule].min() > logits[~nodule].max()
    np.testing.assert_allclose(Reduction(network.config, folded(network)).logits(stacks), logits, rtol=1e-3, atol=1e-4)


def test_the_same_seed_gives_the_same_network():
    config = FitConfig(steps=2, batch_size=8, width=4)
    one, other = (folded(fit(examples(), config)) for _ in range(2))
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_a_batch_has_the_shares_that_were_asked_for():
    counts = FitConfig(batch_size=64, from_scans=0.4, nodules_of_scans=0.15).counts()
    assert counts == {NODULE: 19, BESIDE: 19, FALSE: 22, FOUND: 4} and sum(counts.values()) == 64


def test_a_kind_without_examples_is_named():
    few = examples()
    with pytest.raises(InputError, match=f"no example of the kind '{FOUND}'"):
        fit(few.chosen(few.kinds != FOUND), FitConfig(steps=1))


def test_what_is_asked_for_by_readers():
    some = examples(8)
    some.readers[:4] = (1, 0, 2, 0)
    config = FitConfig(nodule_targets=(0.5, 0.7, 0.9), other_target=0.1)
    assert _targets(some, config).tolist() == pytest.approx([0.5, 0.1, 0.7, 0.1, 0.9, 0.1, 0.9, 0.1])
    single = some.chosen(np.arange(4))  # nobody read them three times: one reader counts in full
    assert _targets(single, config).tolist() == pytest.approx([0.9, 0.1, 0.9, 0.1])


def test_changed_stacks_keep_what_is_in_the_middle():
    stacks = torch.from_numpy(examples(8).stacks.astype(np.float32))
    changed = augmented(stacks, np.random.default_rng(0))
    assert changed.shape == (8, SLICES, STACK_PX, STACK_PX)
    middle = changed[:, :, STACK_PX // 2 - 1 : STACK_PX // 2 + 1, STACK_PX // 2 - 1 : STACK_PX // 2 + 1]
    assert (middle > 0.5).all()
    assert not torch.equal(augmented(stacks, np.random.default_rng(1)), changed)


def test_reductions_are_found_by_whom_they_left_out(tmp_path):
    for n, file in enumerate(("fold-0.safetensors", "all.safetensors")):
        torch.manual_seed(n)
        write_reduction(tmp_path / file, folded(ReductionNetwork(4).eval()))
    with pytest.raises(InputError, match="no false-positive reduction was trained here"):
        read_about(tmp_path)
    networks = {"fold-0.safetensors": ["A", "B"], "all.safetensors": []}
    write_about(tmp_path, {"layers": ReductionNetwork(4).config.to_dict(), "networks": networks})
    config, weights = read_weights(tmp_path)
    assert config == ReductionNetwork(4).config
    stack = np.zeros((SLICES, STACK_PX, STACK_PX), np.float32)
    of_all, without = Reduction(config, weights), reduction_without(tmp_path, ["B"])
    assert of_all.of_stack(stack) != without.of_stack(stack)
    with pytest.raises(InputError, match="left out B, C"):
        reduction_without(tmp_path, ["C", "B"])
