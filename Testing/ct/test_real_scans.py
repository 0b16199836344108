"""Seven real LIDC-IDRI scans: reading as SimpleITK reads, and every annotated nodule inside the lung mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image, ImageDraw

from LungNoduleSegLib.ct import CT, lung_mask, lungs, read_ct

SCANS = ("0001", "0063", "0181")
BOXES = ("0006", "0007", "0009", "0010")

SHARED_SCANS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "lidc_scans"

# Seen on the pictures: patients' sides of LIDC-IDRI-0063's four nodules, all in the image's left half, and others.
# pixel (column, row), z in mm, and which lung it is in
SEEN_SIDES = [
    ("0063", (133, 282), -104.0, 1),
    ("0063", (187, 333), -201.0, 1),
    ("0063", (122, 308), -219.0, 1),
]


@pytest.mark.parametrize("patient", SCANS)
def test_reading_agrees_with_simpleitk(lidc_data, patient):
    folder = lidc_data / "LIDC-IDRI" / f"LIDC-IDRI-{patient}"
    ct = read_ct(folder)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    np.testing.assert_array_equal(ct.hu, np.maximum(sitk.GetArrayViewFromImage(image), -1024))
    expected = CT.from_sitk(image)
    np.testing.assert_allclose(ct.ijk_to_ras, expected.ijk_to_ras, atol=1e-6)
    assert ct.slice_orientation == "axial" and ct.kji_to_ras((1, 0, 0))[2] > ct.kji_to_ras((0, 0, 0))[2]
    assert ct.info["patient_id"] == f"LIDC-IDRI-{patient}"
    assert ct.warnings == ()


@pytest.mark.parametrize("patient", SCANS)
def test_jpeg_ls_originals_equal_the_unpacked_scans(lidc_data, patient):
    original = SHARED_SCANS / f"LIDC-IDRI-{patient}"
    if not original.is_dir():
        pytest.skip("the JPEG-LS originals are not there")
    packed, plain = read_ct(original), read_ct(lidc_data / "LIDC-IDRI" / f"LIDC-IDRI-{patient}")
    np.testing.assert_array_equal(packed.hu, plain.hu)
    np.testing.assert_array_equal(packed.ijk_to_ras, plain.ijk_to_ras)
    assert packed.series_uid == plain.series_uid


def _load(data: Path, patient: str) -> tuple[CT, np.ndarray, tuple[int, int]]:
    """The CT, the z of each slice in mm, and where its first voxel lies in the 512 x 512 slice (row, column)."""
    if patient in SCANS:
        ct = read_ct(data / "LIDC-IDRI" / f"LIDC-IDRI-{patient}")
        z = np.array([ct.kji_to_ras((k, 0, 0))[2] for k in range(ct.shape[0])])
        return ct, z, (0, 0)
    path = data / "lung_boxes" / f"LIDC-IDRI-{patient}.npz"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    with np.load(path) as box:
        ct = CT.from_array(box["hu"], spacing_mm=box["spacing_mm"], series_uid=str(box["series"]))
        return ct, box["z_mm"], (int(box["origin_rc"][0]), int(box["origin_rc"][1]))


@pytest.mark.parametrize("patient", SCANS + BOXES)
def test_every_annotated_nodule_is_inside_the_lung_mask(lidc_data, lidc_contours, patient):
    ct, z_mm, (row, column) = _load(lidc_data, patient)
    mask, sides = lung_mask(ct), lungs(ct)
    contours = lidc_contours(ct.series_uid)
    assert contours
    outside = {}
    for annotation, z, pixels in contours:
        k = int(np.argmin(np.abs(z_mm - z)))
        assert abs(z_mm[k] - z) < 0.01
        image = Image.new("1", (ct.shape[2], ct.shape[1]))
        # What any single reader drew, its outline included, is more than any consensus.
        points = [(int(x) - column, int(y) - row) for x, y in pixels]
        ImageDraw.Draw(image).polygon(points, fill=1, outline=1)
        missed = np.count_nonzero(np.asarray(image) & ~mask[k])
        if missed:
            outside[annotation] = outside.get(annotation, 0) + missed
    assert outside == {}
    # The mask is there to leave things out, and both lungs are lungs: 0.5 to 5 litres each.
    litres = ct.voxel_volume_mm3 / 1e6
    assert mask.sum() * litres < 13
    for side in (1, 2):
        assert 0.5 < np.count_nonzero(sides == side) * litres < 5
    assert mask[sides > 0].all()


@pytest.mark.parametrize(("patient", "pixel", "z", "side"), SEEN_SIDES)
def test_known_nodules_lie_in_the_lung_that_they_lie_in(lidc_data, patient, pixel, z, side):
    ct, z_mm, _ = _load(lidc_data, patient)
    k = int(np.argmin(np.abs(z_mm - z)))
    near = lungs(ct)[k - 1 : k + 2, pixel[1] - 6 : pixel[1] + 7, pixel[0] - 6 : pixel[0] + 7]
    assert np.count_nonzero(near == side) > 0
    assert np.count_nonzero(near == 3 - side) == 0


def test_right_lung_is_on_the_patients_right(lidc_data):
    ct, _, _ = _load(lidc_data, "0063")
    sides = lungs(ct)
    x = [ct.kji_to_ras(np.argwhere(sides == side).mean(axis=0))[0] for side in (1, 2)]
    assert x[0] - x[1] > 100  # mm, RAS x grows to the right


def test_the_slices_below_the_lungs_have_none(lidc_data):
    ct, _, _ = _load(lidc_data, "0063")
    below = CT.from_array(ct.hu[:25], spacing_mm=ct.spacing_mm)
    with pytest.raises(ValueError, match="no lung"):
        lung_mask(below)
