"""Every recipe of docs/slicer/scripts.md, run as it stands there, on Slicer's scene with a made CT."""

from __future__ import annotations

import gc
import re
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import slicer
from slicer_harness.application import PANEL
from slicer_harness.dicom_series import write_series
from slicer_harness.samples import result_of, sample_ct

from LungNoduleSegLib.mrml import read_nodules, volume_from_ct
from LungNoduleSegLib.nodules.table import read_csv

PAGE = PANEL.parents[1] / "docs" / "slicer" / "scripts.md"
PROBABILITIES = (0.85, 0.75, 0.65)  # of the three nodules


def recipes(page: Path = PAGE) -> dict[int, list[str]]:
    """Number of the heading -> its Python blocks; 0 is what stands before the first one."""
    blocks: dict[int, list[str]] = {0: []}
    number, open_block = 0, None
    for line in page.read_text(encoding="utf-8").splitlines():
        if open_block is not None:
            if line == "```":
                blocks[number].append("\n".join(open_block))
                open_block = None
            else:
                open_block.append(line)
        elif line == "```python":
            open_block = []
        elif heading := re.match(r"## (\d+)\. ", line):
            number = int(heading[1])
            blocks[number] = []
    assert open_block is None
    return blocks


class Known:
    """Stands for the network: the three nodules of the made CT, and the first of them for a click."""

    model = "model-2-compact"

    def __init__(self):
        self.runs: list[dict] = []
        self.clicks: list[tuple] = []
        self.cts: list[weakref.ref] = []

    def segment(self, ct, progress=None, cancel=None, **options):
        self.runs.append(options)
        self.cts.append(weakref.ref(ct))
        progress(0.5, "half")
        if ct.shape != sample_ct()[0].shape:
            raise ValueError("Expected argument `ct` to be the made CT")
        return replace(
            result_of(ct, sample_ct()[1], model=self.model),
            threshold=options["threshold"] or 0.0,
            min_diameter_mm=options["min_diameter_mm"] or 0.0,
            _probability=lambda: np.where(sample_ct()[1] == 1, 0.9, 0.0).astype(np.float16),
        )

    def click(self, ct, positive_ras, negative_ras=(), base=None):
        self.clicks.append((len(positive_ras), len(negative_ras), base))
        labels = sample_ct()[1] == 1
        k = np.arange(labels.shape[0])[:, None, None]
        labels &= k < 8 if negative_ras else k < 7 + 2 * len(positive_ras)
        uid = f"2.25.77{len(self.clicks)}"
        return result_of(ct, labels.astype(np.uint16), kind="SEMIAUTOMATIC", uids=[uid], probability=lambda label: 0.5)


@pytest.fixture
def segmenter():
    return Known()


@pytest.fixture
def logic(module, segmenter, monkeypatch):
    made = module.LungNoduleSegLogic(loadSegmenter=lambda model, device: segmenter)
    monkeypatch.setattr(slicer.util, "getModuleLogic", lambda name: {"LungNoduleSeg": made}[name])
    yield made
    made.close()


@pytest.fixture
def ct_node(scene):
    return volume_from_ct(sample_ct()[0], scene, "LungNoduleSegCT")


@pytest.fixture
def run(logic, ct_node, capsys):
    """run(number, **names) runs a recipe's blocks one after the other; gives its names and what it printed."""

    def run(number: int, first: int = 0, last: int | None = None, **names):
        names = {"slicer": slicer, **names}  # as in the console
        for block in [*recipes()[0], *recipes()[number][first:last]]:
            exec(compile(block, f"{PAGE.name}, recipe {number}", "exec"), names)
        return names, capsys.readouterr().out

    return run


@pytest.fixture
def found(logic, ct_node):
    """A segmentation with three nodules."""
    return logic.process(ct_node).nodes.segmentation


def test_there_are_ten_recipes_and_all_are_run_here():
    here = set(map(int, re.findall(r"run\((\d+)[,)]", Path(__file__).read_text(encoding="utf-8"))))
    assert set(recipes()) - {0} == set(range(1, 11)) == here
    assert all(recipes().values())


def test_1_the_sample_ct(run, segmenter, ct_node, monkeypatch):
    import SampleData

    monkeypatch.setattr(SampleData, "downloadSample", lambda name: slicer.util.getNode(name), raising=False)
    shown = []
    monkeypatch.setattr(slicer.util, "setSliceViewerLayers", lambda **layers: shown.append(layers))
    names, printed = run(1)
    assert printed.startswith("3 nodules found.\n")
    assert len(names["outcome"].nodes.segment_ids) == 3
    assert shown == [{"background": ct_node}]


def test_2_a_box(run, segmenter, ct_node):
    _, printed = run(2)
    assert printed == "3 nodules found.\n"
    (low, high), bounds = segmenter.runs[-1]["roi"], [0.0] * 6
    ct_node.GetRASBounds(bounds)
    np.testing.assert_allclose(low, (bounds[0], bounds[2], (bounds[4] + bounds[5]) / 2))
    np.testing.assert_allclose(high, (bounds[1], bounds[3], bounds[5]))


def test_3_another_threshold(run, segmenter, logic):
    names, printed = run(3)
    assert printed.splitlines() == [
        "0.2 3 nodules", "0.4 3 nodules", "0.6 3 nodules", "0.8 1 nodules", "2 nodules found.",
    ]  # fmt: skip
    assert len(segmenter.runs) == 1
    assert len(logic.nodules(names["segmentationNode"])) == 2
    assert names["result"].min_diameter_mm == 4.0


def test_3_another_threshold_where_nothing_was_found_first(run, monkeypatch):
    segment = Known.segment
    monkeypatch.setattr(
        Known, "segment", lambda self, ct, **options: replace(segment(self, ct, **options), threshold=0.99)
    )
    names, printed = run(3)
    assert printed.splitlines()[-1] == "2 nodules found."
    assert names["segmentationNode"].GetSegmentation().GetNumberOfSegments() == 2


def test_4_one_click_and_refinement(run, segmenter, logic, scene):
    ct, labels = sample_ct()
    points = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Nodule points")
    for kji in (np.argwhere(labels == 1).mean(axis=0), (9, 20, 18), (10, 20, 18)):
        points.AddControlPointWorld(*ct.kji_to_ras(kji))
    names, printed = run(4)
    assert [click[:2] for click in segmenter.clicks] == [(1, 0), (2, 0), (2, 1)]
    (row,) = logic.nodules(names["segmentationNode"])
    assert row.segment_id == names["segmentId"] and row.kind == "SEMIAUTOMATIC"
    assert float(printed) == pytest.approx((labels[:8] == 1).sum() * ct.voxel_volume_mm3)


def test_5_the_list(run, found, logic):
    _, printed = run(5, segmentationNode=found)
    rows = logic.nodules(found)
    lines = [line for line in printed.splitlines() if not line.startswith("  ")]
    assert len(lines) == 3
    for line, row, probability in zip(lines, rows, PROBABILITIES, strict=True):
        assert line.startswith(f"{row.name}: ")
        assert f"mean {row.nodule.mean_diameter_mm:.1f} mm, {row.nodule.volume_mm3:.0f} mm3" in line
        assert f"probability {probability:.2f}" in line and line.endswith(", pending")
    assert "right" in lines[0] and "left" in lines[1] and "side unknown" in lines[2]
    bands = [row.band.sentence for row in rows if row.band]
    assert bands and [line.strip() for line in printed.splitlines() if line.startswith("  ")] == bands


def test_6_the_review(run, found, logic):
    names, printed = run(6, segmentationNode=found)
    first, second = names["review"].row(names["first"]), names["review"].row(names["second"])
    assert (first.status, first.name, first.attenuation) == ("accepted", "Right upper lobe", "part-solid")
    assert second.status == "pending"  # rejected, and undone
    table = read_csv(Path(printed.strip()))
    assert [row["name"] for row in table] == [row.name for row in logic.nodules(found)]


def test_7_a_folder_of_studies(run, scene, segmenter, tmp_path):
    studies, results = tmp_path / "studies", tmp_path / "results"
    results.mkdir()
    write_series(studies / "A", sample_ct()[0])
    (studies / "B").mkdir()
    (studies / "B" / "readme.txt").write_text("no CT")
    write_series(studies / "C", sample_ct()[0], seed=4)
    (studies / "list.txt").write_text("no folder")
    before = scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")
    _, printed = run(7, studies=studies, results=results)
    assert [line.partition(":")[0] for line in printed.splitlines()] == ["A", "B", "C"]
    assert printed.splitlines()[0] == printed.splitlines()[2].replace("C:", "A:") == "A: 3 nodules found."
    assert sorted(path.name for path in results.iterdir()) == ["A.csv", "A.seg.nrrd", "C.csv", "C.seg.nrrd"]
    assert len(read_csv(results / "A.csv")) == 3
    assert scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == before
    for name in ("vtkMRMLSegmentationNode", "vtkMRMLMarkupsFiducialNode", "vtkMRMLTableNode"):
        assert scene.GetNumberOfNodesByClass(name) == 0, name
    gc.collect()
    assert segmenter.cts[0]() is None  # the first CT is not in memory any more


def test_8_in_the_background(run, logic):
    names, _ = run(8, last=1)
    assert logic.running
    outcome = names["pending"].wait()
    assert outcome.message == "3 nodules found." and names["pending"].finished


def test_8_what_it_prints(run, logic, capsys):
    names, begun = run(8, last=1)
    names["pending"].wait()
    printed = begun + capsys.readouterr().out
    assert printed.splitlines() == ["0% Reading the CT ", "50% half ", "result 3 nodules found."]
    names["onEvent"]({"event": "progress", "fraction": 0.25, "message": "Tiles", "secondsLeft": 12.3})
    assert capsys.readouterr().out == "25% Tiles (12 s left)\n"


def test_8_cancelled(run, scene, capsys):
    names, begun = run(8)
    outcome = names["pending"].wait()
    assert outcome.nodes is None
    assert (begun + capsys.readouterr().out).splitlines()[-1].startswith("cancelled Cancelled; nothing was added")
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_9_the_probability_of_every_voxel(run, ct_node):
    labels = sample_ct()[1]
    names, printed = run(9)
    assert printed == f"highest 90 %, {(labels == 1).sum()} voxels above one half\n"
    np.testing.assert_array_equal(names["percent"], np.where(labels == 1, 90, 0))
    boxes = [0.0] * 6, [0.0] * 6
    names["probabilityNode"].GetRASBounds(boxes[0])
    ct_node.GetRASBounds(boxes[1])
    np.testing.assert_allclose(*boxes, atol=1e-6)


def test_10_a_pair_for_training(run, found, logic, tmp_path):
    review = logic.review(found)
    review.accept([review.rows[1].segment_id])
    names, printed = run(10, last=1, segmentationNode=found, folder=tmp_path)
    assert [Path(path).parent for path in printed.split()] == [tmp_path, tmp_path]
    import SimpleITK

    ct, labels = sample_ct()
    image = SimpleITK.ReadImage(str(names["ctPath"]))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), ct.hu)

    from training.prepare.pairs import find_pairs

    (pair,) = find_pairs(sorted(tmp_path.iterdir()))
    assert (Path(pair.ct), Path(pair.segmentation)) == (Path(names["ctPath"]), Path(names["segPath"]))
    segments = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(names["segPath"])))
    assert segments.astype(bool).sum() == (labels == 2).sum()


def test_10_dicom_seg(run, logic, scene, tmp_path, monkeypatch):
    pytest.importorskip("highdicom")
    from LungNoduleSegLib import read_ct
    from LungNoduleSegLib.mrml import read_dicom_seg

    files = {str(pydicom.dcmread(path).SOPInstanceUID): path for path in write_series(tmp_path / "ct", sample_ct()[0])}

    class Database:
        fileForInstance = staticmethod(lambda uid: str(files[uid]))

    monkeypatch.setattr(slicer, "dicomDatabase", Database, raising=False)
    ct = read_ct(tmp_path / "ct")
    scene.Clear(False)
    ct_node = volume_from_ct(ct, scene, "LungNoduleSegCT")
    ct_node.SetAttribute("DICOM.instanceUIDs", " ".join(files))
    segmentation = logic.process(ct_node).nodes.segmentation
    review = logic.review(segmentation)
    review.accept([row.segment_id for row in review.rows[:2]])
    review.reject([review.rows[2].segment_id])
    run(10, first=1, segmentationNode=segmentation)
    path = Path(slicer.app.temporaryPath) / "nodules.dcm"
    labels, records = read_dicom_seg(path, ct)
    assert len(records) == 2
    expected = read_nodules(segmentation, ct_node).labels
    np.testing.assert_array_equal(labels > 0, (expected > 0) & (expected < 3))
    dataset = pydicom.dcmread(path)
    assert [item.SegmentAlgorithmType for item in dataset.SegmentSequence] == ["AUTOMATIC"] * 2
