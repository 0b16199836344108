"""Size bands at the boundaries that the guidelines' tables print, worked out by hand."""

from __future__ import annotations

import pytest

from LungNoduleSegLib.nodules import ATTENUATIONS, GUIDELINES, Nodule, fleischner_2017, lung_rads_2022

# A volume in the middle of the band of the diameter, where only the diameter matters.
MIDDLE_MM3 = {"<6 mm": 60.0, "6-8 mm": 180.0, ">8 mm": 500.0, ">=6 mm": 500.0}


def nodule(mean_mm: float, volume_mm3: float = 500.0, solid_mm: float | None = None) -> Nodule:
    return Nodule(
        uid="2.25.1",
        label=1,
        centroid_ras=(0.0, 0.0, 0.0),
        volume_mm3=volume_mm3,
        long_axis_mm=mean_mm + 0.2,
        short_axis_mm=mean_mm - 0.2,
        mean_diameter_mm=mean_mm,
        mean_hu=-100.0,
        attenuation="solid" if solid_mm is None else "part-solid",
        solid_diameter_mm=solid_mm,
        probability=0.5,
        side="left",
        long_axis_ras=((0.0, 0.0, 0.0), (1.0, 0.0, 0.0)),
        short_axis_ras=((0.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
        bounds_kji=((0, 0, 0), (1, 1, 1)),
    )


@pytest.mark.parametrize(
    ("mean_mm", "category"),
    # Sizes are rounded to whole mm: 5.49 is 5, 5.5 is 6, 8.49 is 8, 8.5 is 9.
    [(2.0, "<6 mm"), (5.49, "<6 mm"), (5.5, "6-8 mm"), (6.0, "6-8 mm"), (8.0, "6-8 mm"), (8.49, "6-8 mm"),
     (8.5, ">8 mm"), (9.0, ">8 mm"), (31.0, ">8 mm")],
)  # fmt: skip
def test_fleischner_solid(mean_mm, category):
    band = fleischner_2017(nodule(mean_mm, MIDDLE_MM3[category]), "solid")
    assert (band.guideline, band.category) == ("Fleischner 2017", category)
    assert "by its volume" not in band.sentence


@pytest.mark.parametrize(
    ("volume_mm3", "by_volume"), [(99.0, "<6 mm"), (100.0, None), (250.0, None), (251.0, ">8 mm")]
)
def test_fleischner_says_where_the_volume_disagrees(volume_mm3, by_volume):
    band = fleischner_2017(nodule(7.0, volume_mm3), "solid")
    assert band.category == "6-8 mm"
    assert (f"by its volume {by_volume}" in band.sentence) if by_volume else ("by its volume" not in band.sentence)


@pytest.mark.parametrize(("mean_mm", "category"), [(5.4, "<6 mm"), (5.5, ">=6 mm"), (40.0, ">=6 mm")])
def test_fleischner_ground_glass(mean_mm, category):
    assert fleischner_2017(nodule(mean_mm, MIDDLE_MM3[category]), "ground-glass").category == category
    assert "by its volume <6 mm" in fleischner_2017(nodule(7.0, 99.0), "ground-glass").sentence


@pytest.mark.parametrize(
    ("mean_mm", "solid_mm", "category"),
    [(5.4, 5.0, "<6 mm"), (5.5, 5.4, ">=6 mm, solid part <6 mm"), (12.0, 5.49, ">=6 mm, solid part <6 mm"),
     (12.0, 5.5, ">=6 mm, solid part >=6 mm"), (12.0, 11.0, ">=6 mm, solid part >=6 mm"),
     (12.0, None, ">=6 mm, solid part <6 mm")],
)  # fmt: skip
def test_fleischner_part_solid(mean_mm, solid_mm, category):
    band = fleischner_2017(nodule(mean_mm, 60.0, solid_mm), "part-solid")
    assert band.category == category and "by its volume" not in band.sentence


@pytest.mark.parametrize(
    ("mean_mm", "category"),
    # Reported to one decimal: 5.94 is 5.9, 5.95 is 6.0.
    [(3.0, "2"), (5.94, "2"), (5.95, "3"), (6.0, "3"), (7.94, "3"), (8.0, "4A"), (14.94, "4A"), (15.0, "4B")],
)
def test_lung_rads_solid(mean_mm, category):
    band = lung_rads_2022(nodule(mean_mm), "solid")
    assert (band.guideline, band.category) == ("Lung-RADS v2022", category)


@pytest.mark.parametrize(
    ("mean_mm", "solid_mm", "category"),
    [(5.94, 5.0, "2"), (6.0, 5.94, "3"), (20.0, 5.9, "3"), (20.0, 6.0, "4A"), (20.0, 7.94, "4A"), (20.0, 8.0, "4B"),
     (20.0, None, "3")],
)  # fmt: skip
def test_lung_rads_part_solid(mean_mm, solid_mm, category):
    assert lung_rads_2022(nodule(mean_mm, solid_mm=solid_mm), "part-solid").category == category


@pytest.mark.parametrize(("mean_mm", "category"), [(5.0, "2"), (29.94, "2"), (30.0, "3")])
def test_lung_rads_ground_glass(mean_mm, category):
    assert lung_rads_2022(nodule(mean_mm), "ground-glass").category == category


def test_calcified():
    assert fleischner_2017(nodule(20.0), "calcified") is None
    band = lung_rads_2022(nodule(20.0), "calcified")
    assert band.category == "1" and "if the calcium's pattern is a benign one" in band.sentence


@pytest.mark.parametrize("name", GUIDELINES)
def test_no_type_no_band(name):
    assert GUIDELINES[name](nodule(10.0), "") is None
    with pytest.raises(ValueError, match="attenuation"):
        GUIDELINES[name](nodule(10.0), "soft")


@pytest.mark.parametrize("attenuation", ATTENUATIONS)
@pytest.mark.parametrize("name", GUIDELINES)
def test_sentences(name, attenuation):
    band = GUIDELINES[name](nodule(10.0, solid_mm=7.0), attenuation)
    if band is not None:
        assert band.sentence.endswith("(research use, not a diagnosis).")
        assert attenuation in band.sentence and "10" in band.sentence and " mm" in band.sentence
        assert band.category in band.sentence and band.guideline in band.sentence


def test_the_chosen_type_decides_not_the_measured_one():
    part_solid = nodule(20.0, solid_mm=7.0)
    assert lung_rads_2022(part_solid, "solid").category == "4B"
    assert lung_rads_2022(part_solid, "ground-glass").category == "2"
