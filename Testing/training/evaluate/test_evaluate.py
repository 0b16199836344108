"""``python -m training evaluate`` on scans without a patient: an engine that sees grey values, and made-up readers."""

from __future__ import annotations

import csv
import io
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.settings import SearchSettings
from LungNoduleSegLib.segmenter.result import Result
from LungNoduleSegLib.segmenter.segmenter import Segmenter
from Testing.inference.phantom import OracleEngine, thorax
from Testing.training.evaluate.made_series import make_series
from Testing.training.synthetic import annotated_scan, annotation, box_outline, contour
from training.cli.app import app
from training.cli.evaluate import tables
from training.evaluate import places, records, run, whole_scans
from training.evaluate.places import find_marks, find_places
from training.evaluate.run import evaluate_source
from training.evaluate.summary import DEVELOPMENT, NOT_SEEN, SEEN, group_of
from training.lidc.findings import Finding

SPACING = (2.5, 0.8, 0.8)
NODULE, VESSEL, UNDER_MARK = (10, 95, 50, 6.0, 50), (17, 100, 130, 4.0, 50), (19, 70, 50, 4.0, 50)
"""k, j, i, radius mm and HU of what the engine finds: annotated, not annotated, and beside a mark."""

SHAPE = (26, 180, 180)


def reading(number: int, radius_px: int, thickness: int = 4):
    """One reader's boxes around the nodule; contour pixels do not belong to it."""
    k, j, i = NODULE[:3]
    side = 2 * radius_px + 1
    outline = box_outline(j - radius_px, i - radius_px, side, side)
    return annotation(number, *[contour(2.5 * z, outline) for z in range(k - thickness // 2, k + thickness // 2 + 1)])


def small_reading(number: int):
    """A nodule of one reader that nobody finds: in the lung, as grey as lung."""
    return annotation(number, *[contour(2.5 * z, box_outline(110, 120, 9, 9)) for z in (8, 9)])


SERIES = {"LIDC-IDRI-0005": "1.2.5", "LIDC-IDRI-0063": "1.2.63", "LIDC-IDRI-0008": "1.2.8"}


@pytest.fixture(scope="module")
def database():
    """Three annotated scans; the modules' own way to the installed database is cut."""
    scans = []
    for patient, series in SERIES.items():
        readers = [reading(n, 7 + n % 2) for n in range(4)]
        scan = annotated_scan(*readers, small_reading(9), slices=26, thickness_mm=2.5, patient=patient, series=series)
        scans.append(scan.__class__(**{**vars(scan), "z_mm": 2.5 * np.arange(26)}))

    def read_scans(path=None, *, series_uids=None):
        return [s for s in scans if series_uids is None or s.series_uid in series_uids]

    with pytest.MonkeyPatch.context() as patched:
        for module in (places, run, whole_scans):
            patched.setattr(module, "read_scans", read_scans)
        yield scans


@pytest.fixture(scope="module")
def hu():
    ct, _ = thorax(SHAPE, SPACING, balls=(NODULE, VESSEL, UNDER_MARK))
    return ct.hu


@pytest.fixture(scope="module")
def made(tmp_path_factory, hu):
    """A TCIA-like folder of two scans (one of them split over two folders) with a chest film, and one cropped scan."""
    folder = tmp_path_factory.mktemp("tcia") / "manifest" / "LIDC-IDRI"
    files = make_series(
        folder / "LIDC-IDRI-0005" / "study" / "3000566", hu, spacing=SPACING, series_uid="1.2.5", origin=(-10, -20, 0)
    )
    other = files[0].parents[1] / "more"
    other.mkdir()
    for path in files[:7]:
        path.rename(other / path.name)
    make_series(folder / "elsewhere", hu, spacing=SPACING, series_uid="1.2.63", origin=(-10, -20, 0))
    make_series(folder / "elsewhere" / "film", hu[:1], series_uid="1.2.999")
    (folder / "LICENSE").write_text("words")
    root = folder.parent
    boxes = root / "lung_boxes"
    boxes.mkdir()
    z_mm, origin = 2.5 * np.arange(26), np.array([10, 20])
    np.savez(boxes / "LIDC-IDRI-0008.npz", hu=hu[:, 10:, 20:], z_mm=z_mm, spacing_mm=SPACING, origin_rc=origin,
             series="1.2.8")  # fmt: skip
    k, j, i = UNDER_MARK[:3]
    lines = [f"{p},{s},0,nodule_lt3,{2.5 * k},{i},{j}" for p, s in SERIES.items()]
    (root / "lidc_marks.csv").write_text("\n".join(["patient,series_instance_uid,reader,kind,z_mm,column,row", *lines]))
    return root


@pytest.fixture
def source(made, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(made, tmp_path / "manifest")


_SEGMENTED: dict[tuple[str, float], Result] = {}


class Remembering(Segmenter):
    """Searches each made-up scan once for all tests: what is tried here comes after the search."""

    def segment(self, ct, *args, threshold=None, **options):
        key = ct.series_uid, threshold
        if key not in _SEGMENTED:
            _SEGMENTED[key] = super().segment(ct, *args, threshold=threshold, **options)
        return _SEGMENTED[key]


def segmenter() -> Segmenter:
    # At larger pixels the oracle takes blends of wall and lung for tissue.
    return Remembering(OracleEngine(), settings=SearchSettings(coarse_pixel_mm=0.0))


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_scans_are_found_by_series_not_by_folder(source, database):
    found = find_places(source)
    assert [(p.patient, p.series, p.world, len(p.files)) for p in found.places] == [
        ("LIDC-IDRI-0005", "1.2.5", True, 26),
        ("LIDC-IDRI-0008", "1.2.8", False, 1),
        ("LIDC-IDRI-0063", "1.2.63", True, 26),
    ]
    assert len(found.skipped) == 1
    assert "1.2.999" in found.skipped[0]
    (source / "LIDC-IDRI" / "copy.dcm").write_bytes(found.places[0].files[3].read_bytes())
    (source / "LIDC-IDRI" / "broken.dcm").write_bytes(b"no DICOM")
    again = find_places(source, ["LIDC-IDRI-0005"])
    assert [len(p.files) for p in again.places] == [26]
    assert any("given twice" in s for s in again.skipped)
    assert any("broken.dcm" in s for s in again.skipped)
    found.places[2].files[4].unlink()
    assert any("incomplete" in s for s in find_places(source).skipped)
    with pytest.raises(InputError, match="LIDC-IDRI-0063") as refused:
        find_places(source, ["LIDC-IDRI-0063"])
    assert "incomplete" in str(refused.value)


def test_what_is_not_there_is_said(source, database, tmp_path):
    with pytest.raises(InputError, match="LIDC-IDRI-0777"):
        find_places(source, ["LIDC-IDRI-0005", "LIDC-IDRI-0777"])
    with pytest.raises(InputError, match="no such folder"):
        find_places(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no usable annotated scan"):
        find_places(tmp_path / "empty")
    with pytest.raises(InputError, match="marks"):
        find_marks(source, tmp_path, tmp_path / "none.csv")
    assert find_marks(source, tmp_path) == source / "lidc_marks.csv"
    assert find_marks(tmp_path / "empty", tmp_path) is None


def test_marks_come_from_the_xml_files_where_there_is_no_table(tmp_path, database, monkeypatch):
    reading = SimpleNamespace(findings=(Finding(0, "nodule_lt3", 75.0, 50, 70), Finding(1, "non_nodule", 5.0, 3, 4)))
    monkeypatch.setattr(places, "read_folder", lambda folder: SimpleNamespace(by_series={"1.2.5": reading}))
    written = find_marks(tmp_path, tmp_path)
    truth = places.read_truth(thorax(SHAPE, SPACING, series_uid="1.2.5")[0], 2.5 * np.arange(26), (0, 0), written)
    assert truth.marks.tolist() == [[25.0, 70, 50], [2.0, 4, 3]]


@pytest.fixture(scope="module")
def evaluated(made, database, tmp_path_factory):
    lines: list[str] = []
    out = tmp_path_factory.mktemp("evaluated") / "out"
    return evaluate_source(segmenter(), made, out, say=lines.append), out, lines


def test_whole_scans_end_to_end(evaluated):
    """Each scan: the annotated nodule found, one of a single reader missed, two false results, one beside a mark."""
    summary, out, lines = evaluated
    assert set(summary["groups"]) == {NOT_SEEN, DEVELOPMENT}
    assert summary == json.loads((out / "summary.json").read_text())
    group = summary["groups"][NOT_SEEN]
    assert (group["scans"], group["patients"]) == (2, ["LIDC-IDRI-0005", "LIDC-IDRI-0008"])
    assert group["nodules_by_readers"] == {"1": 2, "2": 0, "3": 0, "4": 2}
    point = group["at_operating_point"]
    assert point["found_of_3_and_4_readers"] == {"found": 2, "nodules": 2}
    assert point["found_of_any"] == {"found": 2, "nodules": 4}
    assert (point["false_strict"], point["false_luna16"], point["false_strict_a_scan"]) == (4, 2, 2.0)
    curve = group["froc_luna16"]
    assert (curve["n_nodules"], curve["n_hit_by_any"], curve["n_false"]) == (2, 2, 2)
    assert curve["points"][-1]["sensitivity"] == 1
    outlines = group["outlines_of_found"]["of_3_and_4_readers"]
    assert outlines["nodules"] == 2
    assert 0.6 < outlines["dice_3d"]["mean"] < 1
    assert outlines["dice_3d"]["low"] is None, "two patients give no interval"
    assert 0 < outlines["hd95_mm"]["mean"] < 8
    assert summary["without_world_coordinates"] == ["LIDC-IDRI-0008"]
    assert len(lines) == 3
    assert "1 of 1 nodules of 3 and 4 readers found" in lines[0]
    assert not list(out.rglob("*.part"))


def test_a_row_a_nodule(evaluated):
    _, out, _ = evaluated
    rows = rows_of(out / "nodules.csv")
    assert len(rows) == 6
    found = [r for r in rows if r["found"] == "True"]
    assert {r["readers"] for r in found} == {"4"}
    for row in rows:
        assert (row["hd95_mm"] == "") == (row["found"] == "False")
        assert (row["coordX"] == "") == (row["patient"] == "LIDC-IDRI-0008")
    # The cropped scan's pixels are counted in the 512 x 512 slice, as everywhere.
    assert {(r["row"], r["column"]) for r in found} == {("95", "50")}
    (first,) = [r for r in found if r["patient"] == "LIDC-IDRI-0005"]
    predicted, true = float(first["result_mm3"]), float(first["volume_mm3"])
    assert float(first["volume_error"]) == pytest.approx((predicted - true) / true, abs=1e-3)
    assert predicted == pytest.approx(4 / 3 * np.pi * 6**3, rel=0.2)


def test_luna16_files(evaluated):
    _, out, _ = evaluated
    submission = rows_of(out / "candidates.csv")
    assert (out / "candidates.csv").read_text().splitlines()[0] == "seriesuid,coordX,coordY,coordZ,probability"
    assert {r["seriesuid"] for r in submission} == {"1.2.5", "1.2.63"}
    annotations = rows_of(out / "annotations.csv")
    assert list(annotations[0]) == ["seriesuid", "coordX", "coordY", "coordZ", "diameter_mm"]
    assert len(annotations) == 2
    # DICOM's own coordinates: first pixel at (-10, -20, 0), columns along x, rows along y.
    k, j, i = NODULE[:3]
    expected = (-10 + 0.8 * i, -20 + 0.8 * j, 2.5 * k)
    for row in annotations:
        assert [float(row[c]) for c in ("coordX", "coordY", "coordZ")] == pytest.approx(expected, abs=1e-6)
    near = [r for r in submission if np.linalg.norm([float(r[c]) - e for c, e in zip(("coordX", "coordY", "coordZ"),
                                                                                     expected)]) < 1.5]  # fmt: skip
    assert len(near) == 2
    excluded = rows_of(out / "annotations_excluded.csv")
    assert sorted(r["diameter_mm"] for r in excluded if r["seriesuid"] == "1.2.5")[0] == "-1.0"
    assert len(excluded) == 4
    assert (out / "seriesuids.csv").read_text() == "1.2.5\n1.2.63\n"


def test_goes_on_where_it_was_stopped(source, database, tmp_path, monkeypatch):
    done = []
    original = records.examine

    def stopping(segmenter, place, marks):
        if len(done) == 1:
            raise KeyboardInterrupt
        done.append(place.patient)
        return original(segmenter, place, marks)

    monkeypatch.setattr(records, "examine", stopping)
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        evaluate_source(segmenter(), source, out)
    assert not (out / "summary.json").exists()

    def counting(segmenter, place, marks):
        done.append(place.patient)
        return original(segmenter, place, marks)

    monkeypatch.setattr(records, "examine", counting)
    resumed = evaluate_source(segmenter(), source, out)
    assert sorted(done) == ["LIDC-IDRI-0005", "LIDC-IDRI-0008", "LIDC-IDRI-0063"]
    # Nothing is computed twice, and a damaged record is made anew.
    assert evaluate_source(segmenter(), source, out) == resumed
    assert len(done) == 3
    (out / "scans" / "1.2.5.json").write_text("{")
    assert _without_time(evaluate_source(segmenter(), source, out)) == _without_time(resumed)
    assert done[3:] == ["LIDC-IDRI-0005"]
    # Without the marks it is another evaluation: what lies beside one is false by both conventions.
    (source / "lidc_marks.csv").unlink()
    bare = evaluate_source(segmenter(), source, out, patients=["LIDC-IDRI-0005"])
    assert done[4:] == ["LIDC-IDRI-0005"]
    assert bare["marks"] is None
    assert bare["groups"][NOT_SEEN]["at_operating_point"]["false_luna16"] == 2


def _without_time(summary):
    for group in summary["groups"].values():
        group.pop("seconds_a_scan")
    return summary


def test_a_scan_that_cannot_be_read_is_named_and_left_out(source, database, tmp_path):
    path = source / "LIDC-IDRI" / "elsewhere" / "000012.dcm"
    path.write_bytes(path.read_bytes()[:-1000])
    summary = evaluate_source(segmenter(), source, tmp_path / "out")
    assert DEVELOPMENT not in summary["groups"]
    assert any(s.startswith("LIDC-IDRI-0063") for s in summary["skipped"])
    with pytest.raises(InputError, match="none of the scans"):
        evaluate_source(segmenter(), source, tmp_path / "other", patients=["LIDC-IDRI-0063"])


def test_groups(database, monkeypatch):
    from training.evaluate import summary

    seen = {"1.2.5": "train", "1.2.8": "validation"}
    monkeypatch.setattr(summary, "trained_on", lambda card, series: seen.get(series))
    groups = [group_of(p, object(), database) for p in SERIES]
    assert groups == [SEEN, DEVELOPMENT, "seen in validation"]
    # Another scan of a patient that was trained on was not unseen.
    twin = database[0].__class__(**{**vars(database[0]), "series_uid": "1.2.55"})
    assert group_of("LIDC-IDRI-0005", object(), [twin, *database]) == SEEN
    assert group_of("LIDC-IDRI-0005", None, database) == NOT_SEEN


def test_tables_say_how_many(evaluated):
    from rich.console import Console

    summary, _, _ = evaluated
    console = Console(width=200, record=True, file=io.StringIO())
    for table in tables(summary):
        console.print(table)
    text = console.export_text()
    assert "1.00 (2/2)" in text
    assert "4 (2.0 a scan)" in text
    assert all(group in text for group in (NOT_SEEN, DEVELOPMENT))
    # Without a nodule to find there is no curve; with intervals they stand beside the figure.
    figures = json.loads(json.dumps(summary["groups"][NOT_SEEN]))
    figures["froc_luna16"] = None
    figures["outlines_of_found"]["of_any"]["dice_3d"] |= {"mean": 0.8, "low": 0.7, "high": 0.9}
    for table in tables(summary | {"groups": {NOT_SEEN: figures}}):
        console.print(table)
    text = console.export_text()
    assert "n/a" in text
    assert "0.800 [0.700, 0.900] (n=2)" in text


def test_the_command(made, database, tmp_path, monkeypatch):
    import LungNoduleSegLib

    asked = []

    def load(model, device, *, threads):
        asked.append((model, device, threads))
        return segmenter()

    monkeypatch.setattr(LungNoduleSegLib, "load_segmenter", load)
    words = ["evaluate", str(made), "--model", "model-9", "--threads", "1"]
    words += ["--patients", "LIDC-IDRI-0005,LIDC-IDRI-0063"]
    done = CliRunner().invoke(app, [*words, "--output", str(tmp_path / "tables")])
    assert done.exit_code == 0, done.output
    assert asked == [("model-9", "auto", 1)]
    assert "2/2 LIDC-IDRI-0063: 1 of 1 nodules" in done.output
    assert "skipped: series 1.2.999" in done.output
    assert {r["patient"] for r in rows_of(tmp_path / "tables" / "nodules.csv")} == {"LIDC-IDRI-0005", "LIDC-IDRI-0063"}
    refused = CliRunner().invoke(app, ["evaluate", str(made), "--patients", "LIDC-IDRI-0777"])
    assert isinstance(refused.exception, InputError)
