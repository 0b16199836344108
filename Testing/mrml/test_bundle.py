"""A scene in one file, as the command line writes it, opened as Slicer opens it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import slicer
from slicer_harness.samples import UIDS, result_of, sample_ct

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.mrml import bundle, ct_from_volume, read_nodules, write_scene_mrb
from LungNoduleSegLib.mrml.publishing import POINTS_ROLE, TABLE_ROLE

AWKWARD = "Zoë Müller 胸部 (2) " + "y" * 120


def opened(scene, path):
    assert scene.ReadFromMRB(str(path))
    return (
        scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode"),
        scene.GetFirstNodeByClass("vtkMRMLSegmentationNode"),
    )


def test_everything_comes_back(scene, tmp_path):
    ct, labels = sample_ct()
    result = result_of(ct, labels)
    path = tmp_path / AWKWARD / "scene.mrb"
    write_scene_mrb(path, result, name="Thorax")
    assert [entry.name for entry in path.parent.iterdir()] == ["scene.mrb"]
    assert scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode") is None  # the writer has a scene of its own

    volume, segmentation = opened(scene, path)
    back = ct_from_volume(volume)
    assert volume.GetName() == "Thorax"
    np.testing.assert_array_equal(back.hu, ct.hu)
    np.testing.assert_allclose(back.ijk_to_ras, ct.ijk_to_ras, atol=1e-9)
    assert back.series_uid == ct.series_uid
    nodules = read_nodules(segmentation, volume, ct=ct)
    np.testing.assert_array_equal(nodules.labels, labels)
    assert list(nodules.nodules) == list(result.nodules)
    assert nodules.names == ("Nodule 1", "Nodule 2", "Nodule 3")

    points, table = segmentation.GetNodeReference(POINTS_ROLE), segmentation.GetNodeReference(TABLE_ROLE)
    for number, nodule in enumerate(result.nodules):
        assert points.GetNthControlPointPositionWorld(number) == pytest.approx(nodule.centroid_ras, abs=1e-3)
        assert points.GetNthControlPointLabel(number) == nodule.name
        assert points.GetNthControlPointDescription(number) == nodule.uid
    uid_column = table.GetColumnIndex("uid")
    assert [table.GetCellText(row, uid_column) for row in range(table.GetNumberOfRows())] == list(UIDS)
    assert table.GetTable().GetValueByName(0, "volume_mm3").ToDouble() == pytest.approx(
        result.nodules[0].volume_mm3, rel=1e-3
    )
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    for node in (segmentation, points, table):
        assert hierarchy.GetItemByDataNode(node)


def test_no_path_of_this_machine_is_in_the_file(tmp_path):
    path = tmp_path / "folder" / "scene.mrb"
    write_scene_mrb(path, result_of(*sample_ct()))
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        text = b"".join(archive.read(name) for name in names if name.endswith((".mrml", ".json", ".tsv")))
    assert str(tmp_path).encode() not in text and b".writing-" not in text
    assert sum(name.endswith(".mrml") for name in names) == 1
    assert not any(".writing-" in name for name in names)


def test_nothing_found_is_a_scene_with_the_ct(scene, tmp_path):
    ct, labels = sample_ct()
    write_scene_mrb(tmp_path / "scene.mrb", result_of(ct, np.zeros_like(labels)))
    volume, segmentation = opened(scene, tmp_path / "scene.mrb")
    assert segmentation is None
    np.testing.assert_array_equal(ct_from_volume(volume).hu, ct.hu)


def test_a_failed_write_keeps_the_older_file(tmp_path, monkeypatch):
    from LungNoduleSegLib.mrml import publishing

    path = tmp_path / "scene.mrb"
    path.write_text("older")

    def failing(*_args):
        raise RuntimeError("no")

    monkeypatch.setattr(publishing, "fill_table", failing)
    with pytest.raises(RuntimeError, match="no"):
        write_scene_mrb(path, result_of(*sample_ct()))
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_without_slicer_core_it_says_so_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "slicer_is_here", lambda: False)
    with pytest.raises(InputError, match="only be written with the package slicer-core") as caught:
        write_scene_mrb(tmp_path / "scene.mrb", result_of(*sample_ct()))
    assert "pip install slicer-core" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_absence_of_slicer_core_is_noticed():
    code = (
        "import sys; sys.modules['slicer'] = None;"
        "from LungNoduleSegLib.mrml.bundle import slicer_is_here; print(slicer_is_here())"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "False"


def test_a_plain_process_with_torch_loaded_writes_it_silently(tmp_path):
    """As the command line does: torch and SimpleITK in the same process, no application, nothing on stderr."""
    code = f"""
import sys
sys.path[:0] = [".", "Testing"]
try:
    import torch
except ImportError:
    pass
import SimpleITK
from slicer_harness.samples import result_of, sample_ct
from LungNoduleSegLib.mrml import write_scene_mrb
write_scene_mrb({str(tmp_path / "scene.mrb")!r}, result_of(*sample_ct()))
"""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "scene.mrb").stat().st_size > 10_000
