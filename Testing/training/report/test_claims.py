"""Verdicts: what can be told apart is called supported or contradicted, what cannot is not."""

from __future__ import annotations

import pytest

from Testing.training.report.synthetic_results import write_run
from training.metrics import Difference
from training.report.claims import claims
from training.report.layout import Findings, why_none
from training.report.results import read_results
from training.report.rows import rows_of
from training.report.verdicts import (
    CONTRADICTED,
    NOT_SEPARABLE,
    NOT_TESTABLE,
    SUPPORTED,
    of_any,
    of_differences,
)


def gap(value: float, half: float = 0.01, seeds: tuple[int, int] = (2, 2)) -> Difference:
    return Difference(value, value - half, value + half, 0.5, 10, 5, seeds, half / 1.96)


UP, DOWN, FLAT, LONE = gap(0.02), gap(-0.02), gap(0.005), gap(0.02, seeds=(4, 1))


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        ([UP, UP], SUPPORTED),
        ([UP, FLAT], NOT_SEPARABLE),
        ([UP, DOWN], CONTRADICTED),
        ([DOWN, None], CONTRADICTED),
        ([UP, None], NOT_TESTABLE),
        ([FLAT, None], NOT_TESTABLE),
        ([UP, LONE], NOT_TESTABLE),
        ([gap(-0.02, seeds=(1, 2))], NOT_TESTABLE),
        ([], NOT_TESTABLE),
    ],
)
def test_the_rule(given, verdict):
    assert of_differences(given) == verdict


@pytest.mark.parametrize(
    ("groups", "opposite", "verdict"),
    [
        ([[FLAT, UP], [UP, UP]], [[DOWN, FLAT]], SUPPORTED),
        ([[FLAT, DOWN]], [[UP, FLAT], [UP, UP]], CONTRADICTED),
        ([[FLAT, UP]], [[DOWN, FLAT]], NOT_SEPARABLE),
        ([[FLAT, None]], [[None, FLAT]], NOT_TESTABLE),
    ],
)
def test_the_rule_for_one_out_of_several(groups, opposite, verdict):
    assert of_any(groups, opposite) == verdict


def verdicts(tmp_path, runs: dict[tuple[str, str], float], seeds: int = 2, **facts) -> dict[str, str]:
    for (study, row), iou in runs.items():
        for seed in range(seeds):
            write_run(tmp_path, study, row, iou=iou, seed=seed, **facts)
    return {c.said: c.verdict for c in claims(Findings("compact", rows_of(read_results(tmp_path))))}


def of(found: dict[str, str], words: str) -> str:
    (said,) = [said for said in found if words in said]
    return found[said]


BASELINES = ("unet", "attention-unet", "transunet")
HIGHER, TRANSFORMER, FUSION = "higher IoU than", "the transformer raises", "fusion and residual units help"


def test_a_clear_lead_over_the_baselines_is_supported(tmp_path):
    found = verdicts(tmp_path, {("B", "model-1"): 0.6, **{("D", name): 0.5 for name in BASELINES}})
    assert of(found, HIGHER) == SUPPORTED
    assert of(found, "model 1 has fewer false negatives") == SUPPORTED
    assert of(found, "The same of model 2") == NOT_TESTABLE


def test_one_baseline_ahead_contradicts_it(tmp_path):
    ious = dict(zip(BASELINES, (0.5, 0.5, 0.65)))
    assert (
        of(verdicts(tmp_path, {("B", "model-1"): 0.6, **{("D", n): v for n, v in ious.items()}}), HIGHER)
        == CONTRADICTED
    )


def test_what_does_not_differ_is_not_separable(tmp_path):
    found = verdicts(tmp_path, {("B", "model-1"): 0.6, ("A", "encoder"): 0.6, ("A", "encoder+bottleneck"): 0.6})
    assert of(found, TRANSFORMER) == NOT_SEPARABLE
    assert of(found, "Model 1 when IoU") == NOT_SEPARABLE
    assert of(found, "two models to choose from") == NOT_SEPARABLE


def test_one_seed_decides_nothing(tmp_path):
    found = verdicts(tmp_path, {("B", "model-1"): 0.7, **{("D", name): 0.5 for name in BASELINES}}, seeds=1)
    assert of(found, HIGHER) == NOT_TESTABLE


def test_the_placements(tmp_path):
    places = {"encoder": 0.6, "encoder+bottleneck": 0.6, "encoder+decoder": 0.7, "encoder+bottleneck+decoder": 0.6}
    found = verdicts(tmp_path, {("A", name): iou for name, iou in places.items()})
    assert of(found, "scSE paper's placement") == CONTRADICTED
    assert of(found, "scSE raises IoU wherever") == NOT_TESTABLE  # "none" was not run


def test_parts_left_out(tmp_path):
    runs = {("A", "encoder+bottleneck"): 0.6, ("extra", "no-fusion"): 0.5, ("extra", "no-shortcuts"): 0.5}
    assert of(verdicts(tmp_path, runs), FUSION) == SUPPORTED


def test_without_runs_only_counts_and_arithmetic_decide(tmp_path):
    found = verdicts(tmp_path, {("A", "none"): 0.5})
    decided = {said for said, verdict in found.items() if verdict != NOT_TESTABLE}
    assert len(decided) == 2 and all(any(w in said for w in ("39.61", "fusion adds neither")) for said in decided)
    assert {found[said] for said in decided} == {CONTRADICTED}


def test_a_level_is_tested_at_full_scale_with_real_negatives_only(tmp_path):
    found = verdicts(tmp_path / "compact", {("B", "model-1"): 0.6}, negatives=3)
    assert of(found, "IoU .82") == of(found, "accuracy 94.63") == NOT_TESTABLE
    for seed in (0, 1):
        write_run(tmp_path / "full", "B", "model-1", iou=0.6, seed=seed, negatives=3, scale="full")
    rows = rows_of(read_results(tmp_path / "full"))
    full = {c.said: c.verdict for c in claims(Findings("full", rows))}
    assert of(full, "IoU .82") == CONTRADICTED


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        ((20.0, 22.0), (15.0, 16.0), SUPPORTED),
        ((20.0, 22.0), (15.0, 21.0), NOT_SEPARABLE),  # something else kept the machine busy
        ((20.0, 22.0), (25.0, 26.0), CONTRADICTED),
        ((20.0,), (15.0,), NOT_TESTABLE),
    ],
)
def test_the_quicker_model(tmp_path, first, second, verdict):
    for place, times in ((("B", "model-1"), first), (("A", "encoder+bottleneck"), second)):
        for seed, ms in enumerate(times):
            write_run(tmp_path, *place, seed=seed, ms_per_image=ms)
    found = claims(Findings("compact", rows_of(read_results(tmp_path))))
    (claim,) = [c for c in found if c.said.startswith("Model 2 when")]
    assert claim.verdict == verdict and "61.9 %" in claim.evidence


def test_runs_that_saw_other_numbers_of_images_are_not_compared(tmp_path):
    for seed in (0, 1):
        write_run(tmp_path, "B", "model-1", iou=0.7, seed=seed)
        write_run(tmp_path, "A", "encoder", iou=0.5, seed=seed, samples=6000)
    findings = Findings("compact", rows_of(read_results(tmp_path)))
    rows = [findings.row("B", name) for name in ("model-1", "encoder")]
    assert findings.difference(*rows, "iou_pos") is None
    assert "images seen" in why_none(*rows)
    assert of({c.said: c.verdict for c in claims(findings)}, TRANSFORMER) == NOT_TESTABLE
