"""The studies as data: the thesis' rows, the parameter counts behind them, and rows that are one run."""

from __future__ import annotations

import pytest
import torch

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.networks import count_parameters
from training.engine.architecture import build_any
from training.studies import thesis
from training.studies.definitions import REFERENCE, STUDIES, TITLES, home, needs, rows
from training.studies.plan import Settings, plan, runs_of

COMPACT, FULL = Settings.at("compact"), Settings.at("full")

PARAMETERS = {  # recovered from the thesis' slides, and MONAI's and TransUNet's own
    ("A", "none"): 71_447_425,
    ("A", "encoder"): 71_492_929,
    ("A", "decoder"): 71_492_929,
    ("A", "bottleneck"): 71_580_610,
    ("A", "encoder+bottleneck"): 71_626_114,
    ("A", "decoder+bottleneck"): 71_626_114,
    ("A", "encoder+decoder"): 71_538_433,
    ("A", "encoder+bottleneck+decoder"): 71_671_618,
    ("B", "model-1"): 115_647_041,
    ("C", "128px"): 115_647_041,
    ("C", "64px"): 115_647_041 - 48 * 768,  # 16 positions instead of 64
    ("D", "unet"): 31_112_065,
    ("D", "attention-unet"): 31_739_185,
    ("D", "transunet"): 105_174_545,
    ("extra", "no-fusion"): 71_626_114 - 41_789_760 + sum(c * c // 2 + 3 * c // 2 for c in (1024, 512, 256, 128)),
}


def row(study: str, name: str):
    return next(r for r in rows(study) if r.name == name)


@pytest.mark.parametrize("study", list(thesis.TABLES))
def test_every_row_of_the_thesis_is_there_and_in_its_order(study: str):
    assert [r.name for r in rows(study)] == list(thesis.TABLES[study])


@pytest.mark.parametrize("study", "ABCD")
def test_printed_counts_add_up_to_its_test_set(study: str):
    for name, printed in thesis.TABLES[study].items():
        assert printed.tp + printed.fn == thesis.POSITIVES, name
        # Model 1 (the row 128px of Table C too) is printed with one negative more than there are.
        extra = printed.tp == 2510
        assert printed.tn + printed.fp == thesis.NEGATIVES + extra, name


def test_printed_accuracies_are_those_of_the_counts():
    for study, table in thesis.TABLES.items():
        for name, printed in table.items():
            if printed.accuracy is not None and printed.tp is not None:
                implied = (printed.tp + printed.tn) / (thesis.POSITIVES + thesis.NEGATIVES)
                assert printed.accuracy == pytest.approx(implied, abs=0.0015), (study, name)


def test_the_same_network_is_printed_alike_in_every_table():
    for one, other in ((("B", "model-1"), ("D", "model-1")), (("B", "model-1"), ("C", "128px")),
                       (("A", "encoder+bottleneck"), ("B", "model-2")), (("B", "model-2"), ("D", "model-2")),
                       (("A", "encoder"), ("B", "encoder"))):  # fmt: skip
        a, b = thesis.printed(*one), thesis.printed(*other)
        assert (a.iou, a.tp, a.tn, a.fp, a.fn) == (b.iou, b.tp, b.tn, b.fp, b.fn)


def test_rows_of_our_own_have_no_printed_figures():
    assert thesis.printed("extra", "no-fusion") is None
    assert thesis.printed("leakage", "none@slice") is None


@pytest.mark.parametrize(("place", "count"), list(PARAMETERS.items()), ids=[f"{s}-{n}" for s, n in PARAMETERS])
def test_full_scale_parameters(place: tuple[str, str], count: int):
    chosen = row(*place)
    with torch.device("meta"):
        network = build_any(chosen.at(scale="full", width=0, px=chosen.px or 128))
    assert count_parameters(network) == count


def test_model_1_as_the_slides_count_it():
    with torch.device("meta"):
        network = build_any(row("B", "model-1").at(scale="full", width=0, px=128))
    assert count_parameters(network, called_layers_only=True) == thesis.printed("E", "model-1").parameters


def test_the_slides_give_another_networks_count_for_model_2():
    with torch.device("meta"):
        network = build_any(row("A", "encoder+decoder").at(scale="full", width=0, px=128))
    assert count_parameters(network) == thesis.printed("E", "model-2").parameters


@pytest.mark.parametrize("study", list(STUDIES))
@pytest.mark.parametrize("settings", [COMPACT, FULL], ids=["compact", "full"])
def test_a_shared_row_is_the_same_network_at_home(study: str, settings: Settings):
    """What lies under a row's home is what the row says: same network, window and split."""
    for chosen in rows(study):
        place = home(chosen, px=settings.px, protocol=settings.protocol)
        at_home = next((r for r in rows(place[0].removesuffix("-slice")) if r.name == place[1]), None)
        assert at_home is not None, (chosen.name, place)
        assert at_home.network == chosen.network
        assert (at_home.px or settings.px) == (chosen.px or settings.px)


def test_model_1_at_the_scales_own_window_is_one_run_for_tables_b_and_c():
    assert home(row("C", "64px"), px=64, protocol="patient") == ("B", "model-1")
    assert home(row("C", "128px"), px=64, protocol="patient") == ("C", "128px")
    assert home(row("C", "128px"), px=128, protocol="patient") == ("B", "model-1")


def test_what_the_public_crops_cannot_give_says_so():
    waiting = [r.name for study in STUDIES for r in rows(study) if needs(r, crop_px=128)]
    assert waiting == ["512px", "256px"]
    assert needs(row("C", "256px"), crop_px=128) == "needs the full data set"
    assert needs(row("C", "512px"), crop_px=512) is None


def test_slice_runs_lie_apart():
    assert home(row("A", "none"), px=64, protocol="slice") == ("A-slice", "none")
    assert home(row("leakage", "none@slice"), px=64, protocol="patient") == ("A-slice", "none")
    assert home(row("leakage", "none@patient"), px=64, protocol="slice") == ("A", "none")
    for run in plan("leakage", COMPACT):
        assert (run.protocol == "slice") == run.study.endswith("-slice")


def test_all_runs_each_network_once_with_the_seeds_that_it_should_have():
    runs = plan("all", COMPACT)
    names = [run.name for run in runs]
    assert len(set(names)) == len(names)
    places = [(run.study, run.row) for run in runs]
    for place in (("A", "none"), ("A", "encoder"), ("A", "encoder+bottleneck"), ("B", "model-1")):
        assert places.count(place) == 4
    others = set(places) - {("A", "none"), ("A", "encoder"), ("A", "encoder+bottleneck"), ("B", "model-1")}
    assert all(places.count(place) == 2 for place in others)
    networks = [(run.network, run.px, run.protocol, run.seed) for run in runs]
    assert len(set(networks)) == len(networks), "one network is trained twice with the same seed"
    assert all(run.settings.samples == 12_000 for run in runs)


def test_every_study_is_part_of_all():
    everything = {run.name for run in plan("all", COMPACT)}
    for study in STUDIES:
        assert {run.name for run in plan(study, COMPACT)} <= everything


def test_the_first_seed_of_every_row_comes_before_any_second():
    patient = [run.seed for run in plan("all", COMPACT) if run.protocol == "patient"]
    assert patient == sorted(patient)


def test_rows_of_one_study_differ_in_nothing_but_the_network():
    for study in ("A", "B", "D", "extra"):
        kinds = {(r.settings, r.px, r.protocol) for r in plan(study, COMPACT)}
        assert len(kinds) == 1


def test_number_of_seeds_can_be_set_and_rows_be_chosen():
    assert [run.name for run in plan("A", Settings.at("compact", seeds=3), ("none",))] == [
        f"A/none/seed-{n}" for n in range(3)
    ]
    assert len(runs_of(row("D", "unet"), FULL)) == 1


def test_titles_and_references_name_what_is_there():
    assert set(TITLES) == set(STUDIES)
    for study, name in REFERENCE.items():
        assert name in [r.name for r in rows(study)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plan("F", COMPACT), "no study 'F'.*A, B, C"),
        (lambda: plan("A", COMPACT, ("nowhere",)), "no row nowhere.*none, encoder"),
        (lambda: Settings.at("tiny"), "no scale 'tiny'"),
        (lambda: Settings.at("compact", samples=3), "fewer than a batch"),
        (lambda: Settings.at("compact", protocol="hospital"), "no split is called 'hospital'"),
        (lambda: Settings.at("compact", seeds=0), "at least one seed"),
    ],
)
def test_errors_name_the_choices(call, message: str):
    with pytest.raises(InputError, match=message):
        call()
