"""Figures while a network trains: equal to those of the arrays, whatever the batches and the processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from training.metrics import ImageOverlap, PixelCalibration, confusion, dice_pos, iou_all, iou_pos, overlap_counts


def data(images: int = 23, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities and labels (n, 16, 16), some of them empty or with pixels left out, and patients."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((images, 16, 16)) < 0.3).astype(np.uint8)
    labels[::4] = 0
    labels[1::5, :3] = 255
    probability = np.clip(0.8 * (labels == 1) + rng.normal(0.1, 0.3, labels.shape), 0, 1).astype(np.float32)
    probability[::8] = 0
    return probability, labels, rng.integers(6, size=images)


def fed(order: np.ndarray, batch: int = 5) -> ImageOverlap:
    probability, labels, patients = (torch.tensor(v) for v in data())
    metric = ImageOverlap()
    for start in range(0, len(order), batch):
        part = torch.tensor(order[start : start + batch])
        metric.update(probability[part][:, None], labels[part][:, None], patients[part], part)
    return metric


def test_equal_to_the_figures_of_the_arrays():
    probability, labels, patients = data()
    counts = overlap_counts((probability > 0.5) & (labels != 255), labels == 1)
    found = fed(np.arange(23)).compute()
    assert found["iou_pos"] == pytest.approx(iou_pos(counts, patients).value)
    assert found["dice_pos"] == pytest.approx(dice_pos(counts, patients).value)
    assert found["iou_all"] == pytest.approx(iou_all(counts, patients).value)
    table = confusion(counts)
    assert (found["tp"], found["tn"], found["fp"], found["fn"]) == (table.tp, table.tn, table.fp, table.fn)
    assert found["accuracy"] == pytest.approx(table.accuracy)
    assert min(table.tp, table.tn, table.fp) > 0, "the case is no test of what it lacks"


def test_order_and_repeated_images_do_not_matter():
    whole = fed(np.arange(23)).table()
    shuffled = np.random.default_rng(1).permutation(np.r_[np.arange(23), 3, 3, 7])
    for one, other in zip(whole, fed(shuffled, batch=4).table()):
        assert np.array_equal(one, other)


def test_without_negatives_nothing_is_claimed():
    metric = ImageOverlap()
    labels = torch.ones(2, 8, 8, dtype=torch.uint8)
    metric.update(torch.ones(2, 8, 8), labels, torch.tensor([0, 1]), torch.tensor([0, 1]))
    found = metric.compute()
    assert (found["iou_pos"], found["sensitivity"]) == (1, 1)
    assert {name for name, v in found.items() if v is None} == {
        "iou_all", "dice_all", "tn", "fp", "accuracy", "specificity", "balanced_accuracy",
    }  # fmt: skip


def test_forgets_when_told_to():
    metric = fed(np.arange(23))
    metric.reset()
    assert metric.table()[0].shape == (0, 3)


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"`labels` to have shape \(1, 8, 8\)"):
        ImageOverlap().update(torch.zeros(1, 1, 8, 8), torch.zeros(1, 8, 9), torch.zeros(1), torch.zeros(1))


# A sampler repeats images to make the parts equal, parts may differ in length, and one process may have none at all.
PARTS = {
    "repeated": ([0, *range(0, 23, 2)], [0, *range(1, 23, 2), 1]),
    "uneven": (list(range(20)), list(range(20, 23))),
    "empty": (list(range(23)), []),
}
WORKER = """
import json, sys
import numpy as np, torch
import torch.distributed as dist
sys.path.insert(0, sys.argv[1])
from Testing.training.metrics.test_images import PARTS, data, fed
from training.metrics import PixelCalibration
rank = int(sys.argv[2])
dist.init_process_group("gloo", init_method=sys.argv[3], rank=rank, world_size=2)
answers = {}
for case, parts in PARTS.items():
    metric = fed(np.array(parts[rank], dtype=np.int64))
    figures = metric.compute()
    with metric.sync_context():
        table = [v.tolist() for v in metric.table()]
    answers[case] = [figures, table, len(metric.table()[0])]
pixels = PixelCalibration()
p, labels, _ = (torch.tensor(v) for v in data())
mine = torch.arange(rank, 23, 2)
pixels.update(p[mine], labels[mine])
print(json.dumps([answers, pixels.compute()]))
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_give_the_figures_of_one(tmp_path):
    root = str(Path(__file__).resolve().parents[3])
    command = [sys.executable, "-c", WORKER, root]
    running = [
        subprocess.Popen([*command, str(rank), f"file://{tmp_path}/meet"], stdout=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    answers = [json.loads(one.communicate(timeout=180)[0].splitlines()[-1]) for one in running]
    alone, pixels = fed(np.arange(23)), PixelCalibration()
    probability, labels, _ = (torch.tensor(v) for v in data())
    pixels.update(probability, labels)
    for rank, (cases, calibration) in enumerate(answers):
        assert calibration == pytest.approx(pixels.compute())
        for name, (figures, table, own) in cases.items():
            assert figures == pytest.approx(alone.compute()), name
            assert table == [v.tolist() for v in alone.table()], name
            # After the exchange each process has its own images again.
            assert own == len(set(PARTS[name][rank])), name
