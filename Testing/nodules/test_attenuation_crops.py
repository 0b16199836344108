"""Types of attenuation against the readers of about 1,200 nodules, on 8-bit crops brought to approximate HU.

A crop is affine in HU: its darkest level is air (-990 HU, measured -1024 to -962 on scans whose HU are known), and the
muscle of the chest wall a peak at about 50 HU. Where fat is the higher peak, muscle is the next one 10 to 26 % further
from the darkest level. Against scans with known HU the level of -300 HU came out within 30 HU for most crops, and up to
140 HU off where contrast medium or bone made the last peak.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from LungNoduleSegLib.nodules import ATTENUATIONS, equivalent_diameter_mm
from LungNoduleSegLib.nodules.attenuation import classify

AIR_HU, MUSCLE_HU, AIR_OF_A_CAVITY = -990.0, 50.0, 4
MIN_READERS, MIN_PIXELS = 3, 9


def muscle_level(histogram: np.ndarray) -> int | None:
    smooth = ndimage.gaussian_filter1d(histogram.astype(float), 2)
    share, level = histogram / histogram.sum(), np.arange(256)
    weight, moment = np.cumsum(share), np.cumsum(share * level)
    with np.errstate(all="ignore"):
        split = int(np.nanargmax((moment[-1] * weight - moment) ** 2 / (weight * (1 - weight))))  # Otsu
    peak = split + 1 + int(np.argmax(smooth[split + 1 :]))
    if histogram[split + 1 :].sum() < 400 or smooth[peak] < 15:
        return None
    first = round(peak * 1.10)
    beyond = smooth[first : round(peak * 1.26) + 1]
    if len(beyond) > 2:
        k = int(np.argmax(beyond))
        if 0 < k < len(beyond) - 1 and beyond[k] > 0.15 * smooth[peak]:
            return first + k
    return peak


def rated_nodules(folder: Path):
    """(approximate HU, consensus mask, spacing, ratings of its readers) of every nodule of three or four readers."""
    image = pytest.importorskip("PIL.Image")
    clusters = pytest.importorskip("training.lidc.clusters")
    database = pytest.importorskip("training.lidc.database")
    with (folder / "lidc_crops.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    try:
        scans = database.read_scans(series_uids={row["series_instance_uid"] for row in rows})
    except Exception as error:
        pytest.skip(str(error))
    groups = {a.id: [b.ratings for b in group] for s in scans for group in clusters.cluster(s) for a in group}
    for row in rows:
        ratings = groups.get(int(row["annotation_id"]), [])
        if len(ratings) < MIN_READERS:
            continue
        nodule = folder / "LIDC-IDRI-slices" / row["patient"] / row["nodule_dir"]
        names = [f"slice-{k}.png" for k in range(int(row["n_slices"]))]
        names = [name for name in names if (nodule / "images" / name).is_file()]
        readers = np.array([[np.asarray(image.open(nodule / f"mask-{r}" / n)) > 0 for r in range(4)] for n in names])
        mask = readers.sum(axis=1) * 2 >= max(1, np.count_nonzero(readers.any(axis=(0, 2, 3))))
        if np.count_nonzero(mask) < MIN_PIXELS:
            continue
        levels = [np.asarray(image.open(nodule / "images" / name)) for name in names]
        muscle = [
            muscle_level(np.bincount(plane[~ndimage.binary_dilation(own, iterations=3)], minlength=256))
            for plane, own in zip(levels, mask, strict=True)
        ]
        if None in muscle:
            continue
        hu = np.stack([AIR_HU + (MUSCLE_HU - AIR_HU) / m * p for p, m in zip(levels, muscle, strict=True)])
        yield hu, mask, (float(row["slice_thickness"]), float(row["pixel_spacing"])), ratings


def texture_class(texture: float) -> int:
    """0 ground glass, 1 part-solid, 2 solid."""
    return 0 if texture <= 1.5 else 1 if texture < 4 else 2


def kappa(table: np.ndarray) -> float:
    """Cohen's kappa (Educ Psychol Meas 20:37, 1960)."""
    chance = float((table.sum(axis=0) * table.sum(axis=1)).sum()) / table.sum() ** 2
    return (np.trace(table) / table.sum() - chance) / (1 - chance)


@pytest.mark.slow
def test_agreement_with_the_readers_is_that_among_readers(lidc_data, capsys):
    names = ("ground-glass", "part-solid", "solid", "calcified")
    assert sorted(names) == sorted(ATTENUATIONS)
    ours, large, among = np.zeros((4, 4), int), np.zeros((4, 4), int), np.zeros((3, 3), int)
    for hu, mask, (thickness_mm, pixel_mm), ratings in rated_nodules(lidc_data):
        if any(r["internalStructure"] == AIR_OF_A_CAVITY for r in ratings):
            continue
        textures = [r["texture"] for r in ratings]
        calcified = np.mean([r["calcification"] != 6 for r in ratings]) >= 0.5
        want = 3 if calcified else texture_class(float(np.mean(textures)))
        got = names.index(classify(hu, mask, np.diag([pixel_mm, pixel_mm, thickness_mm, 1.0]))[0])
        ours[want, got] += 1
        if equivalent_diameter_mm(np.count_nonzero(mask) * thickness_mm * pixel_mm**2) >= 6:
            large[want, got] += 1
        if not calcified:
            for k, own in enumerate(textures):
                among[texture_class(float(np.mean(textures[:k] + textures[k + 1 :]))), texture_class(own)] += 1
    balanced = float(np.mean(np.diag(large) / large.sum(axis=1)))
    with capsys.disabled():
        print(f"\nrows: readers {names}, columns: ours\n{ours}\nkappa {kappa(ours):.3f}")
        print(f"from 6 mm on\n{large}\nkappa {kappa(large):.3f}, balanced accuracy {balanced:.3f}")
        print(f"one reader (columns) and the mean of the others (rows), texture\n{among}\nkappa {kappa(among):.3f}")
    assert ours.sum() > 1000
    assert kappa(ours) > kappa(among)
    assert kappa(ours) > 0.5
    assert balanced > 0.7
