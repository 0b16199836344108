"""Pictures of cases: which slices are chosen, and that what is drawn is what a run's weights predict."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.networks import NetworkConfig, build
from Testing.training.report.synthetic_results import write_run
from training.data.scans import TrainingScan
from training.report.cases import read_cases
from training.report.draw_cases import Case, Seen, choose, look, places, write_cases
from training.report.results import read_results
from training.report.rows import rows_of


def scan_with(*nodules: tuple[int, int, int, int]) -> TrainingScan:
    """Air with bright squares (k, j, i, side), each a nodule on two slices."""
    hu = np.full((6, 80, 80), -900, np.int16)
    labels, numbers = np.zeros(hu.shape, np.uint8), np.zeros(hu.shape, np.int16)
    for number, (k, j, i, side) in enumerate(nodules, start=1):
        box = (slice(k, k + 2), slice(j, j + side), slice(i, i + side))
        hu[box], labels[box], numbers[box] = 40, 1, number
    return TrainingScan("LIDC-IDRI-0063", "1.2", hu, labels, numbers, np.ones(hu.shape, bool), (2.5, 0.7, 0.7))


def case(nodule: int, slice_: int, iou: float) -> Case:
    nothing = np.zeros((2, 2), bool)
    return Case("p", nodule, slice_, 20, (Seen("a", nothing, nothing, nothing, iou),))


def test_one_slice_a_nodule_the_worst_or_the_best():
    cases = [case(1, 0, 0.9), case(1, 1, 0.1), case(2, 0, 0.5), case(3, 0, 0.7)]
    assert [(c.nodule, c.slice) for c in choose(cases, 2, worst=True)] == [(1, 1), (2, 0)]
    assert [(c.nodule, c.slice) for c in choose(cases, 9, worst=False)] == [(1, 0), (3, 0), (2, 0)]


def test_places_are_the_middles_of_nodules_of_more_than_8_px():
    scan = scan_with((1, 10, 20, 5), (3, 40, 40, 2))
    assert places(scan) == [(1, 1, 12, 22), (1, 2, 12, 22)]


def test_what_is_seen_is_what_the_network_finds():
    import torch

    class Bright(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factor = torch.nn.Parameter(torch.tensor(50.0))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x[:, x.shape[1] // 2, None] - 0.5) * self.factor

    (first, _) = look(scan_with((1, 10, 20, 5)), [("bright", Bright(), 32, 3)])
    assert first.iou == 1 and first.area_px == 25
    assert first.seen[0].image.shape == (32, 32) and first.seen[0].predicted.sum() == 25


def results_with_weights(folder) -> None:
    network = NetworkConfig(widths=(2, 4, 8, 16, 32), input_px=32)
    run = write_run(folder, "A", "none", px=32, config={"network": network.to_dict()})
    state = {n: v.numpy() for n, v in build(network).state_dict().items()}
    halved = {n: v.astype(np.float16) if v.dtype == np.float32 else v for n, v in state.items()}
    save_file(halved, run / "weights.safetensors")


def test_pictures_and_captions_are_what_the_report_reads(tmp_path):
    results_with_weights(tmp_path / "results")
    rows = rows_of(read_results(tmp_path / "results"))
    paths = write_cases(rows, scan_with((1, 10, 20, 5), (3, 40, 40, 6)), tmp_path / "cases", count=2)
    assert [p.name for p in paths] == ["worst-1.png", "worst-2.png", "best-1.png", "best-2.png", "captions.json"]
    captions = json.loads(paths[-1].read_text())
    assert all("LIDC-IDRI-0063" in c and "CC BY 3.0" in c and "no scSE" in c for c in captions.values())
    pictures = read_cases(tmp_path / "cases")
    assert {p.caption for p in pictures} == set(captions.values())
    with Image.open(paths[0]) as picture:
        assert picture.width > 500


def test_a_run_without_weights_and_no_run_at_all(tmp_path):
    write_run(tmp_path / "one", "A", "none")
    with pytest.raises(InputError, match="weights"):
        write_cases(rows_of(read_results(tmp_path / "one")), scan_with((1, 10, 20, 5)), tmp_path / "cases")
    write_run(tmp_path / "two", "A", "decoder")
    with pytest.raises(InputError, match="was run"):
        write_cases(rows_of(read_results(tmp_path / "two")), scan_with((1, 10, 20, 5)), tmp_path / "cases")


def test_a_scan_without_nodule(tmp_path):
    results_with_weights(tmp_path / "results")
    with pytest.raises(InputError, match="no nodule"):
        write_cases(rows_of(read_results(tmp_path / "results")), scan_with(), tmp_path / "cases")
