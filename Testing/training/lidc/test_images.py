"""Images of a protocol: per nodule or per slice, with a least area and number of readers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from LungNoduleSegLib.errors import InputError
from Testing.training.synthetic import annotated_scan, annotation, box_outline, contour
from training.lidc.consensus import consensus_nodules
from training.lidc.images import (
    ImageProtocol,
    clean_images,
    first_scans,
    image_mask,
    images,
    scan_images,
    without_nodule,
)


def reader(number: int, row: int, column: int, *z_mm: float, width: int = 7):
    """Boxes of 5 rows and ``width`` - 2 columns inside, from ``row`` + 1 and ``column`` + 1."""
    return annotation(number, *(contour(z, box_outline(row, column, 7, width)) for z in z_mm))


@pytest.fixture
def scan():
    """Nodule 1 of two readers on slices 2 and 3; nodule 2 of one reader on 3 and 4, with 5 pixels only."""
    return annotated_scan(
        reader(1, 1, 10, 2, 3), reader(2, 1, 10, 2, 3), reader(3, 20, 40, 3, 4, width=3), patient="LIDC-IDRI-0004"
    )


def found(scan, **protocol) -> list[tuple[int, tuple[int, ...]]]:
    return [(image.k, image.nodules) for image in images([scan], ImageProtocol(**protocol))]


def test_one_image_a_nodule_and_slice(scan):
    assert found(scan, per="nodule", more_than_px=0) == [(2, (1,)), (3, (1,)), (3, (2,)), (4, (2,))]


def test_one_image_a_slice(scan):
    assert found(scan, per="slice", more_than_px=0) == [(2, (1,)), (3, (1, 2)), (4, (2,))]


def test_the_area_must_be_more_than_the_threshold(scan):
    assert found(scan, more_than_px=4) == [(2, (1,)), (3, (1, 2)), (4, (2,))]
    assert found(scan, more_than_px=5) == [(2, (1,)), (3, (1,))]
    assert found(scan, more_than_px=25) == []


def test_readers_of_the_cluster_count(scan):
    assert found(scan, more_than_px=0, min_readers=2) == [(2, (1,)), (3, (1,))]
    assert found(scan, more_than_px=0, min_readers=3) == []


def test_an_image_tells_where_its_nodules_are(scan):
    (image,) = [i for i in images([scan], ImageProtocol(more_than_px=0)) if i.k == 3]
    assert (image.patient_id, image.series_uid, image.z_mm) == ("LIDC-IDRI-0004", "1.2.3", 3.0)
    assert (image.readers, image.areas_px) == ((2, 1), (25, 5))
    assert image.box == (2, 11, 26, 42)


def test_the_mask_is_the_union_of_the_nodules_of_the_image(scan):
    nodules = consensus_nodules(scan)
    union, one = (scan_images(scan, nodules, ImageProtocol(per=p, more_than_px=0))[1] for p in ("slice", "nodule"))
    expected = np.zeros((24, 31), bool)
    expected[:5, :5] = True
    assert np.array_equal(image_mask(one, nodules), np.ones((5, 5), bool))
    expected[19:, 30:] = True
    assert np.array_equal(image_mask(union, nodules), expected)


def test_only_the_first_scan_of_a_patient_unless_all_are_asked_for(scan):
    again = replace(scan, id=2, series_uid="1.2.4")
    assert [s.series_uid for s in first_scans([scan, again])] == ["1.2.3"]
    assert {i.series_uid for i in images([scan, again], ImageProtocol())} == {"1.2.3"}
    assert {i.series_uid for i in images([scan, again], ImageProtocol(scans="all"))} == {"1.2.3", "1.2.4"}


def test_clean_slices_are_the_lowest_of_patients_without_any_annotation(scan):
    free = annotated_scan(patient="LIDC-IDRI-0005", series="1.2.5", slices=4)
    other = annotated_scan(patient="LIDC-IDRI-0004", series="1.2.6")  # this patient has a nodule in another scan
    assert without_nodule([other, scan, free]) == [free]
    clean = clean_images([other, scan, free], slices=3)
    assert [(i.series_uid, i.k, i.z_mm) for i in clean] == [("1.2.5", k, float(k)) for k in range(3)]
    assert len(clean_images([free], slices=9)) == 4
    assert clean[0].nodules == ()
    assert image_mask(clean[0], []).size == 0


@pytest.mark.parametrize("wrong", [{"per": "patient"}, {"scans": "last"}, {"more_than_px": -1}, {"min_readers": 0}])
def test_a_protocol_that_does_not_exist_is_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        ImageProtocol(**wrong)


@pytest.mark.slow
def test_real_images_agree_between_the_protocols(lidc_scans):
    per_nodule = list(images(lidc_scans, ImageProtocol(per="nodule")))
    per_slice = list(images(lidc_scans, ImageProtocol(per="slice")))
    assert (len(per_nodule), len(per_slice)) == (13_916, 12_997)
    together = Counter((i.series_uid, i.k) for i in per_nodule)
    assert together == Counter({(i.series_uid, i.k): len(i.nodules) for i in per_slice})
    # Told in the protocol's description: so many slices carry more than one nodule.
    assert sum(count > 1 for count in together.values()) == 842
