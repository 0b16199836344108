"""The sample CT as Slicer's module Sample Data gets it: address, SHA-256, thumbnail, and the copy on this computer."""

from __future__ import annotations

import hashlib
import logging
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import slicer
from PIL import Image
from slicer_harness.application import PANEL

from LungNoduleSegLib.cli.sample_data import MEMBERS, cache_folder, cached_sample

SHA256 = MEMBERS["lung1_image.nrrd"]


@pytest.fixture
def sample_data(application, monkeypatch):
    monkeypatch.syspath_prepend(str(PANEL.parent))
    from LungNoduleSegPanel import sample_data

    return sample_data


@pytest.fixture
def sources(application, monkeypatch) -> dict[str, list]:
    """What is registered with Slicer's module Sample Data: category -> samples; nothing at first."""
    monkeypatch.setattr(slicer.modules, "sampleDataSources", {}, raising=False)
    return slicer.modules.sampleDataSources


@pytest.fixture
def nothing_local(monkeypatch, tmp_path) -> Path:
    """A user without the variable and with an empty cache, which is returned."""
    monkeypatch.delenv("LUNGNODULESEG_SAMPLE_CT", raising=False)
    monkeypatch.setenv("LUNGNODULESEG_CACHE", str(tmp_path / "cache with ünicode"))
    cache_folder().mkdir(parents=True)
    return cache_folder()


def of_right_size(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    return path


def registered(sources: dict[str, list]):
    """The one sample that is registered, of one file."""
    ((category, (source,)),) = sources.items()
    assert category == "Lung Nodule Segmentation" and len(source.uris) == 1
    return source


def test_the_address_names_a_commit_and_the_checksum_its_file(sample_data, sources, nothing_local):
    sample_data.register()
    source = registered(sources)
    commit = re.fullmatch(
        r"https://raw\.githubusercontent\.com/AIM-Harvard/pyradiomics/(.*)/data/lung1_image\.nrrd", source.uris[0]
    )
    assert commit is not None and re.fullmatch("[0-9a-f]{40}", commit[1])
    assert source.checksums == [f"SHA256:{SHA256}"]
    assert (source.sampleName, source.nodeNames) == ("LungNoduleSegCT", ["LungNoduleSegCT"])
    assert source.fileNames == ["LungNoduleSegCT.nrrd"]
    assert source.loadFileType == ["VolumeFile"] and source.customDownloader is None


def test_the_thumbnail_is_a_small_picture_in_the_package(sample_data, sources, nothing_local):
    sample_data.register()
    path = Path(registered(sources).thumbnailFileName)
    assert path.parent == PANEL.parent / "Resources" / "Icons"
    assert path.stat().st_size < 20_000
    with Image.open(path) as picture:
        assert picture.size == (160, 160)


def test_registering_again_leaves_one_entry_and_others_alone(sample_data, sources, nothing_local):
    from SampleData import SampleDataLogic

    file = {"uris": "https://example.org/a.nrrd", "fileNames": "a.nrrd", "nodeNames": "a"}
    SampleDataLogic.registerCustomSampleDataSource(category=sample_data.category(), sampleName="Other", **file)
    SampleDataLogic.registerCustomSampleDataSource(category="Elsewhere", sampleName="LungNoduleSegCT", **file)
    sample_data.register()
    of_right_size(nothing_local / "lung1_image.nrrd", sample_data.SIZE_BYTES)  # `make demo` in the meantime
    sample_data.register()
    ours = sources[sample_data.category()]
    assert [source.sampleName for source in ours] == ["Other", "LungNoduleSegCT"]
    assert ours[-1].uris[0].startswith("file://")
    assert len(sources["Elsewhere"]) == 1


def test_the_demo_s_copy_is_taken_instead_of_the_network(sample_data, sources, nothing_local):
    path = of_right_size(nothing_local / "lung1_image.nrrd", sample_data.SIZE_BYTES)
    sample_data.register()
    with urllib.request.urlopen(registered(sources).uris[0]) as response:  # as Sample Data fetches it
        assert len(response.read()) == path.stat().st_size
    assert registered(sources).checksums == [f"SHA256:{SHA256}"]  # compared for a local copy too


def test_half_a_copy_is_left_out(sample_data, nothing_local):
    of_right_size(nothing_local / "lung1_image.nrrd", sample_data.SIZE_BYTES - 1)
    assert sample_data.localCopy() is None


def test_the_variable_goes_before_the_cache(sample_data, nothing_local, monkeypatch, tmp_path):
    of_right_size(nothing_local / "lung1_image.nrrd", sample_data.SIZE_BYTES)
    named = of_right_size(tmp_path / "named.nrrd", sample_data.SIZE_BYTES)
    monkeypatch.setenv("LUNGNODULESEG_SAMPLE_CT", str(named))
    assert sample_data.localCopy() == named
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LUNGNODULESEG_SAMPLE_CT", "named.nrrd")
    assert sample_data.localCopy() == named


@pytest.mark.parametrize(("content", "said"), [(None, "no file instead of"), (b"half", "4 instead of 12548518 bytes")])
def test_a_wrong_variable_is_said_and_left_out(
    sample_data, nothing_local, monkeypatch, tmp_path, caplog, content: bytes | None, said: str
):
    cached = of_right_size(nothing_local / "lung1_image.nrrd", sample_data.SIZE_BYTES)
    if content is not None:
        (tmp_path / "named.nrrd").write_bytes(content)
    monkeypatch.setenv("LUNGNODULESEG_SAMPLE_CT", str(tmp_path / "named.nrrd"))
    with caplog.at_level(logging.WARNING):
        assert sample_data.localCopy() == cached
    (message,) = caplog.messages
    assert str(tmp_path / "named.nrrd") in message and said in message


def test_an_application_without_sample_data_starts(sample_data, monkeypatch):
    monkeypatch.setitem(sys.modules, "SampleData", None)
    sample_data.register()


def test_the_real_file_has_this_size_and_checksum(sample_data):
    found = cached_sample()
    if found is None:
        pytest.skip("the sample CT is not in the cache (`make demo` fetches it)")
    content = found.image.read_bytes()
    assert len(content) == sample_data.SIZE_BYTES
    assert hashlib.sha256(content).hexdigest() == SHA256


def test_what_is_imported_at_slicers_start_comes_with_slicer():
    code = (
        "import sys\n"
        "for name in ('torch', 'typer', 'rich', 'safetensors'): sys.modules[name] = None\n"
        "import LungNoduleSegLib.cli.sample_data"
    )
    subprocess.run([sys.executable, "-c", code], cwd=PANEL.parents[1], check=True, timeout=120)
